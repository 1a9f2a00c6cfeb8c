-- Tries what the other scripts do, on a key of its own, and names what the server denies.
local denied = {}
local function try(command, ...)
  local reply = redis.pcall(command, ...)
  if type(reply) == 'table' and reply.err then
    denied[#denied + 1] = command
    denied[#denied + 1] = reply.err
  end
end
try('TIME')
try('SET', KEY, 'probe', 'PXAT', whole((redis.pcall('TIME')[1] or 0) * 1000 + 60000))
try('GET', KEY)
try('GETRANGE', KEY, 0, 1)
return denied
