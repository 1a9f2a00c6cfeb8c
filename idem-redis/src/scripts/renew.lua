-- ARGV: owner, fence, lease (ms)
local slot = read(redis.call('GET', KEY))
if slot == false then
  return unreadable()
end
if not is_held(slot, ARGV[1], ARGV[2]) or slot.state ~= 'in-flight' then
  return {'fenced'}
end
live_for(slot, ARGV[3])
return 1
