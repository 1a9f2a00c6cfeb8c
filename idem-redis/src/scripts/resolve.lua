-- ARGV: fence, the fence after it, operator, 'complete' or 'release', ttl (ms), grace (ms), record
local fence, next_fence, operator, decision, ttl, grace, record = unpack(ARGV)
local slot = read(redis.call('GET', KEY))
if slot == false then
  return unreadable()
end
if is_held(slot, operator, next_fence) then
  return 1
end
if not slot or slot.fence ~= fence or slot.state == 'completed' then
  return {'moved'}
end
local left = left(slot)
if not left then
  return {'timeless'}
end
if slot.state == 'in-flight' and left > 0 then
  return {'owned', whole(left)}
end
slot.owner, slot.fence = operator, next_fence
if decision == 'complete' then
  finish(slot, record, ttl, grace)
else
  let_go(slot, ttl)
end
return 1
