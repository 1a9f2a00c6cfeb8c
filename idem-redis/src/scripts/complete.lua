-- ARGV: owner, fence, record, ttl (ms), grace (ms)
local owner, fence, record, ttl, grace = unpack(ARGV)
local slot = read()
if slot == false then
  return unreadable()
end
if not is_held(slot, owner, fence) or slot.state == 'released' then
  return {'fenced'}
end
if slot.state == 'in-flight' then
  finish(slot, record, ttl, grace)
end
-- Or the reply to this very verb was lost: the first bytes stay.
return {'done'}
