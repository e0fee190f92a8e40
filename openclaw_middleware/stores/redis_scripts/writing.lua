-- Put in front of the scripts that write, after the prelude: what several of them write, and who
-- may be let in.
--
-- Redis refuses the first write of a script when memory is full, not the later ones. So verbs
-- that must not fail then free something first, and the others write first what may be refused.

-- These two as in `stores/admission.py`.
local TICK = 0.000001
local PUT_BACK = 900
local FAR = 100000000000
local REMEMBERED_WRITES = 128
local REMEMBERED_SECONDS = 30
local REMEMBERED_LENGTH = 8000

local function named(id)
  return string.sub(id, 1, 1) ~= '.'
end

local function expire(key, at)
  redis.call('PEXPIREAT', key, string.format('%.0f', math.ceil(math.min(at, FAR) * 1000)))
end

-- Never shortens: the same user may have sessions of an application with longer limits than ours.
local function prolong(key, at)
  local last = math.min(at, FAR)
  local left = redis.call('PTTL', key)
  if left < 0 or now * 1000 + left < last * 1000 then
    expire(key, last)
  end
end

-- The version this write made, if it is one of those lately done: when its reply is lost and others
-- write before it is repeated, it must not be done twice.
local function version_of_write(r, write_id)
  if r.write == write_id then
    return r.version
  end
  local _, at = string.find(r.earlier or '', '|' .. write_id .. ' ', 1, true)
  return at and tonumber(string.match(r.earlier, '^%S+', at + 1))
end

-- The earlier writes as they are after one more, the latest first. Those that no repeat comes for
-- any more are dropped; looking through all of them is left for when there is something to drop.
local function earlier_writes(r)
  local all = '|' .. r.write .. ' ' .. r.version .. ' ' .. now_text .. ' ' .. r.earlier
  local horizon = now - REMEMBERED_SECONDS
  local oldest = tonumber(string.match(string.sub(all, -24), '(%S+) $'))
  if #all < REMEMBERED_LENGTH and oldest and oldest > horizon then
    return all
  end
  local kept = {}
  for id, version, at in string.gmatch(all, '|(%S+) (%S+) (%S+) ') do
    if #kept == REMEMBERED_WRITES or tonumber(at) < horizon then
      break
    end
    kept[#kept + 1] = '|' .. id .. ' ' .. version .. ' ' .. at .. ' '
  end
  return table.concat(kept)
end

local function conflict(key, r)
  r.texts[16] = redis.call('HGET', key, 'p')
  return {'conflict', now_text, r.texts}
end

-- Lists the record under its user; the index lives as long as the longest of its members may.
local function enlist(index, id, r, retention)
  if not named(id) then
    return
  end
  redis.call('ZADD', index, exact(deadline(r)), id)
  prolong(index, r.started + r.absolute + retention)
end

local function keep(key, r, retention)
  expire(key, math.max(deadline(r), now) + retention)
end

-- Tells who listens that this session, or this user's, ended. It comes after the write and must
-- never undo it: a server that forbids it is asked by the listeners instead, from time to time.
local function announce(key, name)
  redis.pcall('PUBLISH', string.match(key, '^[^:]*') .. ':ended', name)
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
  announce(key, id)
end

-- The latest moment a session of the user counts from.
local function latest(user_key)
  return tonumber(redis.call('HGET', user_key, 'h') or 0) or 0
end

-- A new record from the field, value, ... pairs at the end of ARGV. Its clock starts now.
local function newcomer(first)
  local pairs_, t = {}, {}
  for i = first, #ARGV, 2 do
    pairs_[#pairs_ + 1] = ARGV[i]
    pairs_[#pairs_ + 1] = ARGV[i + 1]
    t[ARGV[i]] = ARGV[i + 1]
  end
  local r = {
    pairs = pairs_, write = t.w, version = tonumber(t.v), started = tonumber(t.a or t.c),
    from = tonumber(t.f), last = now, idle = tonumber(t.i), absolute = tonumber(t.b)
  }
  for _, text in ipairs({'l', now_text, 'm', now_text}) do
    pairs_[#pairs_ + 1] = text
  end
  return r
end

-- Nobody can have proved who they are later than now; who did so after the clock was put back is
-- not locked out until it has caught up. The moment the session counts from, or nil: superseded.
local function counts_from(from, floor)
  local at = floor and floor.at or 0
  if from > at then
    return math.min(from, math.max(now, at + TICK))
  elseif from <= now and at > now + PUT_BACK then
    return at + TICK
  end
end

-- The user's clock is at the record's moment at least; known as long as such a record may live.
local function hand_out(key, user_key, r, retention)
  redis.call('HSET', key, 'f', r.from_text)
  if r.from > latest(user_key) then
    redis.call('HSET', user_key, 'h', r.from_text)
  end
  prolong(user_key, math.max(now, r.from, r.started + r.absolute) + retention)
end

-- Why the user may not have one more session, or nil and the ids that must end for it.
-- Writes nothing: the new record is written first, because that may be refused.
local function admit(r, user_key, index, limit, action, leaving)
  local floor = not_before(user_key)
  local from = counts_from(r.from, floor)
  if not from then
    return {'superseded', now_text}
  end
  r.from_text = from == r.from and exact(from) or string.format('%.6f', from)
  r.from = tonumber(r.from_text)
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
