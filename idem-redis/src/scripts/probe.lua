-- Tries what the other scripts do, on a key of its own, and names what the server denies.
local denied = {}
local function try(command, ...)
  local reply = redis.pcall(command, ...)
  if type(reply) == 'table' and reply.err then
    denied[#denied + 1] = command
    denied[#denied + 1] = reply.err
  end
end
try('SET', KEYS[1], 'probe', 'PX', 60000)
try('PEXPIRE', KEYS[1], 60000)
try('PTTL', KEYS[1])
try('GET', KEYS[1])
try('GETRANGE', KEYS[1], 0, 1)
return denied
