-- ARGV: owner, fence, name, value
local owner, fence, name, value = unpack(ARGV)
local slot = read(redis.call('GET', KEY))
if slot == false then
  return unreadable()
end
if not is_held(slot, owner, fence) or slot.state ~= 'in-flight' then
  return {'fenced'}
end
local new = #name .. ' ' .. #value .. '\n' .. name .. value .. '\n'
local old, at, kept, known = steps(slot), 1, {}, false
while at <= #old do
  local name_size, value_size, start = string.match(old, '^(%d+) (%d+)\n()', at)
  if not start then
    return unreadable()
  end
  local after = start + name_size + value_size + 1
  if string.sub(old, start, start + name_size - 1) == name then
    kept[#kept + 1], known = new, true
  else
    kept[#kept + 1] = string.sub(old, at, after - 1)
  end
  at = after
end
if not known then
  kept[#kept + 1] = new
end
write(slot, table.concat(kept), 'KEEPTTL')
return 1
