local function claimed(slot)
  local taken = string.find(slot.flags, 't', 1, true) and 't' or '-'
  return {'claimed', slot.fence, slot.attempt, taken, steps(slot)}
end

local slot, new = read(value), read(ARGV[1])
if not slot then
  return unreadable()
end
if slot.fingerprint ~= new.fingerprint then
  return {'mismatch'}
end
local left = left(slot)
if not left then
  return {'timeless'}
end
if slot.state == 'completed' then
  return {'completed', whole(left + slot.span), value}
end
local mine = slot.owner == new.owner
local lease = ARGV[2] - new.span
if slot.state == 'in-flight' then
  if mine then
    -- The reply to this very claim was lost.
    live_for(slot, lease)
    return claimed(slot)
  end
  if left > 0 then
    return {'in-flight', whole(left)}
  end
  if string.find(slot.flags .. new.flags, 'r', 1, true) then
    return {'unknown'}
  end
elseif mine then
  -- A late copy of a claim that was won, executed and released.
  return {'in-flight', '0'}
end
local flags = (slot.state == 'in-flight' and 't' or '') .. string.gsub(new.flags, '-', '')
new.flags = flags == '' and '-' or flags
new.fence, new.attempt = whole(slot.fence + 1), whole(slot.attempt + 1)
new.value, new.body = value, slot.body
write_for(new, steps(new), lease)
return claimed(new)
