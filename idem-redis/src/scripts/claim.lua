-- ARGV: fingerprint, owner, lease (ms), retention (ms), 'r' under refuse, else '-'
local fingerprint, owner, lease, retention, refuse = unpack(ARGV)

local function claimed(slot, body)
  local taken = string.find(slot.flags, 't', 1, true) and 't' or '-'
  return {'claimed', slot.fence, slot.attempt, taken, body}
end

local slot = read()
if slot == nil then
  slot = {
    state = 'in-flight', fence = '1', attempt = '1', flags = refuse, owner = owner,
    fingerprint = fingerprint, span = tonumber(retention),
  }
  hold(slot, lease, '')
  return claimed(slot, '')
end
if not slot then
  return unreadable()
end
if slot.fingerprint ~= fingerprint then
  return {'mismatch'}
end
local now = clock()
if slot.state == 'completed' then
  return {'completed', whole(now), slot.value}
end
local mine = slot.owner == owner
if slot.state == 'in-flight' then
  if mine then
    -- The reply to this very claim was lost.
    hold(slot, lease, steps(slot))
    return claimed(slot, steps(slot))
  end
  if now < slot.at then
    return {'in-flight', whole(slot.at - now)}
  end
  if refuses(slot) or refuse == 'r' then
    return {'unknown'}
  end
elseif mine then
  -- A late copy of a claim that was won, executed and released.
  return {'in-flight', '0'}
end
local flags = (slot.state == 'in-flight' and 't' or '') .. (refuse == 'r' and 'r' or '')
slot.flags = flags == '' and '-' or flags
slot.state, slot.owner, slot.span = 'in-flight', owner, tonumber(retention)
slot.fence, slot.attempt = whole(slot.fence + 1), whole(slot.attempt + 1)
hold(slot, lease, steps(slot))
return claimed(slot, steps(slot))
