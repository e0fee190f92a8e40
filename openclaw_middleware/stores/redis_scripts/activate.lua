-- Last step of a succession across slots: the reservation becomes a live record, or goes.
-- KEYS session, user, index
-- ARGV id, write id, ended retention, tombstone retention, limit or '', action, go or ''

local id = ARGV[1]
local r = read(KEYS[1])
local done = version_of_write(r, ARGV[2])
if done and r.state == 'live' then
  return {'saved', now_text, done, {}}
end
if not done then
  return missing()
end
local function withdraw()
  redis.call('UNLINK', KEYS[1])
  redis.call('ZREM', KEYS[3], id)
end
if ARGV[7] == '' then
  withdraw()
  return missing()
end
local doomed, gone = {}, {}
if named(id) then
  local action, refusal = ARGV[6], nil
  local limit = ARGV[5]
  if action == 'reject' then
    -- its place was held since the reservation
    limit = ''
  end
  refusal, doomed, gone = admit(r, KEYS[2], KEYS[3], limit, action, id)
  if refusal then
    withdraw()
    return refusal
  end
end
redis.call('HDEL', KEYS[1], 'z')
redis.call('HSET', KEYS[1], 'l', now_text, 'm', now_text)
r.last = now
if named(id) then
  hand_out(KEYS[1], KEYS[2], r, ARGV[3])
end
enlist(KEYS[3], id, r, ARGV[3])
keep(KEYS[1], r, ARGV[3])
return settle(r, KEYS[3], doomed, gone, ARGV[4])
