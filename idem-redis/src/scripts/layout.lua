-- A slot's value, version 1, as `layout.rs` documents it. Put before every other script.

local KEY = KEYS[1]
local HEADER = '^idem1 (%S+) (%d+) (%d+) (%S+) (%x+) (%x+) (%d+) (%d+)\n()'

-- Lua itself would write 1.764e+12.
local function whole(number)
  return string.format('%.0f', number)
end

-- Milliseconds of the server's clock, the only one there is.
local function clock()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

-- The slot; nil when it is absent, false when it cannot be read. The body is
-- left in the value, from `body` on: only steps are ever cut out of it.
local function read()
  local value = redis.call('GET', KEY)
  if not value then
    return nil
  end
  local state, fence, attempt, flags, owner, fingerprint, at, span, body = string.match(value, HEADER)
  if state ~= 'in-flight' and state ~= 'completed' and state ~= 'released' then
    return false
  end
  return {
    state = state, fence = fence, attempt = attempt, flags = flags, owner = owner,
    fingerprint = fingerprint, at = tonumber(at), span = tonumber(span), value = value, body = body,
  }
end

local function unreadable()
  return {'unreadable', redis.call('GETRANGE', KEY, 0, 63)}
end

local function steps(slot)
  return string.sub(slot.value, slot.body)
end

local function refuses(slot)
  return string.find(slot.flags, 'r', 1, true) ~= nil
end

-- Whether the claim of this owner and fence is the newest.
local function is_held(slot, owner, fence)
  return slot and slot.owner == owner and slot.fence == fence
end

-- The one write of a script. Without a time only an operator ends the slot.
local function write(slot, body, delete_at)
  local value = string.format('idem1 %s %s %s %s %s %s %.0f %.0f\n', slot.state, slot.fence,
    slot.attempt, slot.flags, slot.owner, slot.fingerprint, slot.at, slot.span) .. body
  if delete_at then
    redis.call('SET', KEY, value, 'PXAT', whole(delete_at))
  else
    redis.call('SET', KEY, value)
  end
end

-- Starts the lease anew.
local function hold(slot, lease, body)
  slot.at = clock() + lease
  write(slot, body, not refuses(slot) and slot.at + slot.span or nil)
end

local function finish(slot, record, ttl, grace)
  slot.state, slot.at, slot.span = 'completed', clock() + ttl, tonumber(grace)
  write(slot, record, slot.at + slot.span)
end

local function let_go(slot, ttl)
  slot.state, slot.at, slot.span = 'released', clock() + ttl, 0
  write(slot, steps(slot), slot.at)
end
