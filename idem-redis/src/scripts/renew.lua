-- ARGV: owner, fence, lease (ms)
local slot = read()
if slot == false then
  return unreadable()
end
if not is_held(slot, ARGV[1], ARGV[2]) or slot.state ~= 'in-flight' then
  return {'fenced'}
end
hold(slot, ARGV[3], steps(slot))
return {'done'}
