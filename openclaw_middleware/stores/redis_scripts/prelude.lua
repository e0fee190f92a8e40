-- Put in front of every script: the clock, reading a record, and judging it. Scripts that write
-- have `writing.lua` as well. Needs nothing newer than Redis 6.2.
--
-- A session is one hash. Times are decimal text, so that what the application wrote comes back
-- bit for bit; the server's own are printed to the microsecond.
--   v version   w write id   c created   a authenticated   f valid from   l last active
--   i idle timeout   b absolute timeout   o policy   u user id   g generation
--   s secret hash   n next hash   h previous hash   m promoted   p payload
--   k earlier writes, as "|<write id> <version> <time> |..."
-- A tombstone has e ended at, r reason, x successor, and keeps u. z marks a reservation.
-- A user has a hash (t not-before, r its reason, h the latest moment a session of theirs counts
-- from) and an index: id scored by deadline.

local time = redis.call('TIME')
local now_text = time[1] .. '.' .. string.format('%06d', time[2])
local now = tonumber(now_text)

local function exact(number)
  return string.format('%.17g', number)
end

local function missing(fault)
  return {'missing', now_text, fault}
end

local function ended(reason, at, user, successor, fresh)
  return {'ended', now_text, reason, at, user or false, successor or false, fresh or false}
end

-- state: live (clocks not judged yet), ended, reserved, or missing; what is not ours, or is
-- damaged, is missing: it is never adopted, and `create` does not overwrite it either.
-- `texts` are the record's fields as they are answered; the payload comes with them if asked for.
local function read(key, with_payload)
  local t = redis.pcall('HMGET', key, 'v', 'w', 'c', 'a', 'f', 'l', 'i', 'b', 'o', 'u', 'g',
    's', 'n', 'h', 'm', with_payload and 'p' or 'z', 'e', 'r', 'x', 'z', 'k')
  if t.err then
    return {state = 'missing', fault = 'its key holds something else'}
  elseif not (t[1] or t[17]) then
    return {state = 'missing'}
  end
  if t[17] then
    return {state = 'ended', user = t[10], at = t[17], reason = t[18], successor = t[19]}
  end
  local r = {
    state = t[20] and 'reserved' or 'live', texts = t, user = t[10], write = t[2],
    earlier = t[21] or '', version = tonumber(t[1]), started = tonumber(t[4] or t[3]),
    from = tonumber(t[5]), last = tonumber(t[6]), idle = tonumber(t[7]),
    absolute = tonumber(t[8]), generation = tonumber(t[11])
  }
  t[17], t[18], t[19], t[20], t[21] = nil, nil, nil, nil, nil
  if r.version and r.started and r.from and r.last and r.idle and r.absolute and r.generation
    and t[2] and t[3] and t[9] and t[12] and t[15] then
    return r
  end
  return {state = 'missing', fault = 'a field is damaged'}
end

local function not_before(user_key)
  local t = redis.call('HMGET', user_key, 't', 'r')
  if t[1] then
    return {at = tonumber(t[1]), text = t[1], reason = t[2]}
  end
  return nil
end

local function deadline(r)
  return math.min(r.last + r.idle, r.started + r.absolute)
end

-- The answer for a record that is over, or nil. A deadline belongs to the dead side.
local function over(r, floor, not_after)
  if floor and r.from <= floor.at then
    return ended(floor.reason, floor.text, r.user)
  end
  local reason
  if now >= r.started + r.absolute then
    reason = 'absolute'
  elseif now >= r.last + r.idle then
    reason = 'idle'
  elseif not_after and now >= not_after then
    reason = 'absolute'
  else
    return nil
  end
  return ended(reason, exact(math.min(deadline(r), not_after or deadline(r))), r.user)
end

-- A live record, or nil and the answer that says why there is none.
local function look(key, user_key, not_after, with_payload)
  local r = read(key, with_payload)
  if r.state == 'ended' then
    return nil, ended(r.reason, r.at, r.user, r.successor)
  end
  if r.state ~= 'live' then
    return nil, missing(r.fault)
  end
  local refusal = over(r, not_before(user_key), not_after)
  if refusal then
    return nil, refusal
  end
  return r
end

local function live(r)
  return {'live', now_text, r.texts}
end

-- The key of a session that lies under the same user as this index.
local function sibling(index, id)
  return string.sub(index, 1, -2) .. 's:' .. (string.match(id, '%.(.*)$') or '')
end
