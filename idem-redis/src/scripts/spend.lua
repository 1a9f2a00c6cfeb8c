-- ARGV: bytes, window (ms)
-- The meter's value is `<total> <window>`, and its key expires when the window ends. What is
-- no meter is one that begins now.
local key, bytes, window = KEYS[1], tonumber(ARGV[1]), tonumber(ARGV[2])
local total, length = string.match(redis.call('GET', key) or '', '^(%d+) (%d+)$')
local left = total and redis.call('PTTL', key) or -1
if left < 0 then
  total, length, left = 0, window, window
end
total, length = total + bytes, tonumber(length)
if window > length then
  left, length = left + window - length, window
end
redis.call('SET', key, string.format('%.0f %.0f', total, length), 'PX', string.format('%.0f', math.max(left, 1)))
return {string.format('%.0f', total), string.format('%.0f', left)}
