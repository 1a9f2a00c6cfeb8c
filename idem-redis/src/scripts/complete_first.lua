-- ARGV: owner, fence, record, grace (ms), ttl + grace (ms)
local value = redis.call('GET', KEYS[1])
if value then
  local fence, rest, owner, fingerprint =
    string.match(value, '^idem1 in%-flight (%d+) (%d+ %S+) (%x+) (%x+) %d+\n')
  if owner == ARGV[1] and fence == ARGV[2] then
    redis.call('SET', KEYS[1], 'idem1 completed ' .. fence .. ' ' .. rest .. ' ' .. owner .. ' ' ..
      fingerprint .. ' ' .. ARGV[4] .. '\n' .. ARGV[3], 'PX', ARGV[5])
    return 1
  end
end
-- Nearly every call ends above.
