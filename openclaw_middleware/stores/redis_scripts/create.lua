-- KEYS session, user, index
-- ARGV id, ended retention, tombstone retention, limit or '', action, record pairs...

local id = ARGV[1]
local present = read(KEYS[1])
local r = newcomer(6)
local done = version_of_write(present, r.write)
if done and present.state == 'live' then
  return {'saved', now_text, done, {}}
end
if redis.call('EXISTS', KEYS[1]) == 1 then
  return {'exists', now_text}
end
if not named(id) then
  redis.call('HSET', KEYS[1], unpack(r.pairs))
  keep(KEYS[1], r, ARGV[2])
  return {'saved', now_text, r.version, {}}
end
local refusal, doomed, gone = admit(r, KEYS[2], KEYS[3], ARGV[4], ARGV[5])
if refusal then
  return refusal
end
enlist(KEYS[3], id, r, ARGV[2])
redis.call('HSET', KEYS[1], unpack(r.pairs))
hand_out(KEYS[1], KEYS[2], r, ARGV[2])
keep(KEYS[1], r, ARGV[2])
return settle(r, KEYS[3], doomed, gone, ARGV[3])
