-- ARGV: owner, fence, ttl (ms)
local slot = read(redis.call('GET', KEY))
if slot == false then
  return unreadable()
end
if not is_held(slot, ARGV[1], ARGV[2]) or slot.state == 'completed' then
  return {'fenced'}
end
if slot.state == 'in-flight' then
  let_go(slot, ARGV[3])
end
return 1
