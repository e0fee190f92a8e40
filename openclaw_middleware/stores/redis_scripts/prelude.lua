-- Put in front of every script: the clock, reading a record, judging it, and writing the few
-- things several verbs write. Needs nothing newer than Redis 6.2.
--
-- A session is one hash. Times are decimal text, so that what the application wrote comes back
-- bit for bit; the server's own are printed to the microsecond.
--   v version   w write id   c created   a authenticated   f valid from   l last active
--   i idle timeout   b absolute timeout   o policy   u user id   g generation
--   s secret hash   n next hash   h previous hash   m promoted   p payload
--   k earlier writes, as "<write id> <version> <time> ..."
-- A tombstone has e ended at, r reason, x successor, and keeps u. z marks a reservation.
-- A user has a hash (t not-before, r its reason) and an index: id scored by deadline.
--
-- Redis refuses the first write of a script when memory is full, not the later ones. So verbs
-- that must not fail then free something first, and the others write first what may be refused.

local time = redis.call('TIME')
local now_text = time[1] .. '.' .. string.format('%06d', time[2])
local now = tonumber(now_text)
local TICK = 0.000001
local FAR = 100000000000
local REMEMBERED_WRITES = 128
local REMEMBERED_SECONDS = 30

local function exact(number)
  return string.format('%.17g', number)
end

local function named(id)
  return string.sub(id, 1, 1) ~= '.'
end

local function expire(key, at)
  redis.call('PEXPIREAT', key, string.format('%.0f', math.ceil(math.min(at, FAR) * 1000)))
end

local function missing()
  return {'missing', now_text}
end

local function ended(reason, at, user, successor, fresh)
  return {'ended', now_text, reason, at, user or false, successor or false, fresh or false}
end

-- Gives the numbers a verb reasons with to a table of a record's texts; nil if one is damaged.
local function numbers(r, version, created, authenticated, from, last, idle, absolute, generation)
  r.version, r.from, r.last = tonumber(version), tonumber(from), tonumber(last)
  r.idle, r.absolute, r.generation = tonumber(idle), tonumber(absolute), tonumber(generation)
  r.started = tonumber(authenticated or created)
  if r.version and r.from and r.last and r.idle and r.absolute and r.generation and r.started then
    return r
  end
  return nil
end

-- state: live (clocks not judged yet), ended, reserved, or missing; what is not ours, or is
-- damaged, is missing: it is never adopted, and `create` does not overwrite it either.
local function read(key)
  local t = redis.pcall('HMGET', key, 'v', 'w', 'c', 'a', 'f', 'l', 'i', 'b', 'o', 'u', 'g',
    's', 'n', 'h', 'm', 'e', 'r', 'x', 'z', 'k')
  if t.err or not (t[1] or t[16]) then
    return {state = 'missing'}
  end
  if t[16] then
    return {state = 'ended', user = t[10], at = t[16], reason = t[17], successor = t[18]}
  end
  local r = numbers({texts = t, state = 'live', user = t[10], write = t[2], earlier = t[20] or ''},
    t[1], t[3], t[4], t[5], t[6], t[7], t[8], t[11])
  if not r or not (t[2] and t[3] and t[9] and t[12] and t[15]) then
    return {state = 'missing'}
  end
  if t[19] then
    r.state = 'reserved'
  end
  return r
end

-- The version this write made, if it is one of those lately done: when its reply is lost and others
-- write before it is repeated, it must not be done twice.
local function version_of_write(r, write_id)
  if r.write == write_id then
    return r.version
  end
  for id, version in string.gmatch(r.earlier or '', '(%S+) (%S+) %S+') do
    if id == write_id then
      return tonumber(version)
    end
  end
  return nil
end

-- The earlier writes as they are after one more: those a repeat may still come for.
local function earlier_writes(r)
  local kept = {r.write .. ' ' .. r.version .. ' ' .. now_text}
  for id, version, at in string.gmatch(r.earlier, '(%S+) (%S+) (%S+)') do
    if #kept < REMEMBERED_WRITES and tonumber(at) > now - REMEMBERED_SECONDS then
      kept[#kept + 1] = id .. ' ' .. version .. ' ' .. at
    end
  end
  return table.concat(kept, ' ')
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
local function look(key, user_key, not_after)
  local r = read(key)
  if r.state == 'ended' then
    return nil, ended(r.reason, r.at, r.user, r.successor)
  end
  if r.state ~= 'live' then
    return nil, missing()
  end
  local refusal = over(r, not_before(user_key), not_after)
  if refusal then
    return nil, refusal
  end
  return r
end

-- The record's texts with the payload in the place of the tombstone's fields.
local function whole(key, r)
  local t = r.texts
  t[16] = redis.call('HGET', key, 'p')
  t[17], t[18], t[19], t[20] = nil, nil, nil, nil
  return t
end

local function live(key, r)
  return {'live', now_text, whole(key, r)}
end

local function conflict(key, r)
  return {'conflict', now_text, whole(key, r)}
end

-- Lists the record under its user; the index lives as long as the longest of its members may.
local function enlist(index, id, r, retention)
  if not named(id) then
    return
  end
  redis.call('ZADD', index, exact(deadline(r)), id)
  local last = math.min(r.started + r.absolute + retention, FAR)
  local left = redis.call('PTTL', index)
  if left < 0 or now * 1000 + left < last * 1000 then
    expire(index, last)
  end
end

local function keep(key, r, retention)
  expire(key, math.max(deadline(r), now) + retention)
end

-- Frees the payload and the rest before the tombstone is written: that works with full memory.
local function bury(key, index, id, reason, successor, retention)
  redis.call('HDEL', key, 'p', 'v', 'w', 'c', 'a', 'f', 'l', 'i', 'b', 'o', 'g', 's', 'n', 'h',
    'm', 'z', 'k')
  redis.call('HSET', key, 'e', now_text, 'r', reason)
  if successor then
    redis.call('HSET', key, 'x', successor)
  end
  expire(key, now + retention)
  if named(id) then
    redis.call('ZREM', index, id)
  end
end

-- The key of a session that lies under the same user as this index.
local function sibling(index, id)
  return string.sub(index, 1, -2) .. 's:' .. string.match(id, '%.(.*)$')
end

-- A new record from the field, value, ... pairs at the end of ARGV. Its clock starts now, and
-- nobody can have proved who they are later than now.
local function newcomer(first)
  local pairs_, t = {}, {}
  for i = first, #ARGV, 2 do
    pairs_[#pairs_ + 1] = ARGV[i]
    pairs_[#pairs_ + 1] = ARGV[i + 1]
    t[ARGV[i]] = ARGV[i + 1]
  end
  local r = numbers({pairs = pairs_, write = t.w}, t.v, t.c, t.a, t.f, now_text, t.i, t.b, t.g)
  for _, text in ipairs({'l', now_text, 'm', now_text}) do
    pairs_[#pairs_ + 1] = text
  end
  if r.from > now then
    r.from = now
    pairs_[#pairs_ + 1] = 'f'
    pairs_[#pairs_ + 1] = now_text
  end
  return r
end

-- Why the user may not have one more session, or nil and the ids that must end for it.
-- Writes nothing: the new record is written first, because that may be refused.
local function admit(r, user_key, index, limit, action, leaving)
  local floor = not_before(user_key)
  if floor and r.from <= floor.at then
    return {'superseded', now_text}
  end
  local after = '(' .. now_text
  if limit == '' or redis.call('ZCOUNT', index, after, '+inf') < tonumber(limit) then
    return nil, {}, {}
  end
  local others, gone, held = {}, {}, 0
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', index, after, '+inf')) do
    if id ~= leaving then
      local other = read(sibling(index, id))
      if other.state == 'reserved' then
        held = held + 1
      elseif other.state ~= 'live' or over(other, floor) then
        gone[#gone + 1] = id
      else
        others[#others + 1] = {id, other.last}
      end
    end
  end
  local surplus = #others + 1 - tonumber(limit)
  if action == 'reject' then
    -- a reservation holds its place here; where the oldest yield, it makes room when activated
    if surplus + held > 0 then
      return {'limit', now_text}
    end
    return nil, {}, gone
  end
  table.sort(others, function(a, b)
    return a[2] < b[2] or (a[2] == b[2] and a[1] < b[1])
  end)
  local doomed = {}
  for i = 1, math.min(surplus, #others) do
    doomed[i] = others[i][1]
  end
  return nil, doomed, gone
end

-- Ends the doomed and forgets the gone; the answer of a verb that let a record in.
local function settle(r, index, doomed, gone, retention)
  for _, id in ipairs(doomed) do
    bury(sibling(index, id), index, id, 'limit', nil, retention)
  end
  for _, id in ipairs(gone) do
    redis.call('ZREM', index, id)
  end
  redis.call('ZREMRANGEBYSCORE', index, '-inf', now_text)
  return {'saved', now_text, r.version, doomed}
end
