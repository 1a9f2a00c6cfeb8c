local value = redis.call('GET', KEY)
if not value then
  return {'absent'}
end
return {'present', whole(clock()), value}
