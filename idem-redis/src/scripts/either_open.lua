-- Whether a claim of one of the two, which is there, would be won.
local function is_free(key, value, first)
  KEY = key
  local slot, new = read(value), read(first)
  local left = slot and left(slot)
  if not left or slot.fingerprint ~= new.fingerprint or slot.state == 'completed' then
    return false
  end
  local mine = slot.owner == new.owner
  if slot.state == 'released' then
    return not mine
  end
  return mine or left <= 0 and not string.find(slot.flags .. new.flags, 'r', 1, true)
end

-- The claim of one of the two, as if it had been asked for alone.
local function claim(key, value, first)
  KEY = key
  local ARGV = {first, ARGV[2]}
