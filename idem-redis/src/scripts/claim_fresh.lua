-- ARGV: the value if the slot is absent, and how long it lives then (ms)
local value = redis.call('GET', KEYS[1])
if not value then
  redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
  return 1
end
-- Nearly every call ends above: what follows is for slots that are there.
