end

-- Of both, one that is taken, so that nothing runs beside it.
local is_other = other and not (value and not is_free(KEYS[1], value, ARGV[1]) and is_free(KEYS[2], other, ARGV[3]))
if not is_other then
  return claim(KEYS[1], value, ARGV[1])
end
local answer = claim(KEYS[2], other, ARGV[3])
table.insert(answer, 1, 'alias')
return answer
