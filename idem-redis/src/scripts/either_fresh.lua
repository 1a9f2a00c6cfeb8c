-- KEYS: the slot, another name of it
-- ARGV: the value if both are absent, how long it lives then (ms), the value under the other name
local value, other = redis.call('GET', KEYS[1]), redis.call('GET', KEYS[2])
if not value and not other then
  redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
  return 1
end
-- A claim that nobody has made before ends above.
