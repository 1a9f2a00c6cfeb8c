local slot = read(value)
if slot == false then
  return unreadable()
end
if is_held(slot, ARGV[1], ARGV[2]) and slot.state == 'completed' then
  -- The reply to this very verb was lost: the first bytes stay.
  return 1
end
return {'fenced'}
