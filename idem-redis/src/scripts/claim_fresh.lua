-- ARGV: the value if the slot is absent, and how long it lives then (ms)
local value = redis.call('GET', KEYS[1])
if not value then
  redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
  return 1
end
local fingerprint = string.match(value, '^idem1 completed %d+ %d+ %S+ %x+( %x+ )')
if fingerprint and string.find(ARGV[1], fingerprint, 1, true) then
  -- Without an expiry it has no time, and whoever reads it refuses it.
  return {'completed', string.format('%.0f', redis.call('PTTL', KEYS[1])), value}
end
-- Nearly every call ends above: what follows is for claims that are taken over or refused.
