-- A slot's value, version 1, as `layout.rs` documents it.

local KEY = KEYS[1]
local HEADER = '^idem1 (%S+) (%d+) (%d+) (%S+) (%x+) (%x+) (%d+)\n()'

-- Lua itself would write 1.764e+12.
local function whole(number)
  return string.format('%.0f', number)
end

-- The slot; nil when it is absent, false when it cannot be read. The body is
-- left in the value, from `body` on: only steps are ever cut out of it.
local function read(value)
  if not value then
    return nil
  end
  local state, fence, attempt, flags, owner, fingerprint, span, body = string.match(value, HEADER)
  if state ~= 'in-flight' and state ~= 'completed' and state ~= 'released' then
    return false
  end
  return {
    state = state, fence = fence, attempt = attempt, flags = flags, owner = owner,
    fingerprint = fingerprint, span = span, value = value, body = body,
  }
end

local function unreadable()
  return {'unreadable', redis.call('GETRANGE', KEY, 0, 63)}
end

local function steps(slot)
  return string.sub(slot.value, slot.body)
end

-- Milliseconds until the lease (or the ttl) is over, by the server's clock; nil
-- when somebody has taken the key's expiry away, and with it the time.
local function left(slot)
  local expiry = redis.call('PTTL', KEY)
  return expiry >= 0 and expiry - slot.span or nil
end

-- Whether the claim of this owner and fence is the newest.
local function is_held(slot, owner, fence)
  return slot and slot.owner == owner and slot.fence == fence
end

-- The one write of a script.
local function write(slot, body, ...)
  redis.call('SET', KEY, table.concat({
    'idem1', slot.state, slot.fence, slot.attempt, slot.flags, slot.owner, slot.fingerprint, slot.span,
  }, ' ') .. '\n' .. body, ...)
end

-- A key cannot live for no time at all: PEXPIRE would delete it.
local function lifetime(slot, time)
  return whole(math.max(time + slot.span, 1))
end

local function write_for(slot, body, time)
  write(slot, body, 'PX', lifetime(slot, time))
end

-- Starts the lease anew.
local function live_for(slot, lease)
  redis.call('PEXPIRE', KEY, lifetime(slot, lease))
end

local function let_go(slot, ttl)
  slot.state, slot.span = 'released', '0'
  write_for(slot, steps(slot), ttl)
end

local function finish(slot, record, ttl, grace)
  slot.state, slot.span = 'completed', grace
  write_for(slot, record, ttl)
end
