local value = redis.call('GET', KEYS[1])
if not value then
  return {'absent'}
end
return {'present', string.format('%.0f', redis.call('PTTL', KEYS[1])), value}
