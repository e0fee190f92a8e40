-- KEYS old session, old user, old index, new session, new user, new index (all in one slot)
-- ARGV old id, old version, reason, new id, ended retention, tombstone retention,
--      limit or '', action, record pairs...

local new = newcomer(9)
local r, refusal = look(KEYS[1], KEYS[2])
if refusal then
  local present = read(KEYS[4])
  local done = version_of_write(present, new.write)
  if done and present.state == 'live' then
    return {'saved', now_text, done, {}}
  end
  return refusal
end
if r.version ~= tonumber(ARGV[2]) then
  return conflict(KEYS[1], r)
end
if redis.call('EXISTS', KEYS[4]) == 1 then
  return {'exists', now_text}
end
local doomed, gone = {}, {}
if named(ARGV[4]) then
  refusal, doomed, gone = admit(new, KEYS[5], KEYS[6], ARGV[7], ARGV[8], ARGV[1])
  if refusal then
    return refusal
  end
end
enlist(KEYS[6], ARGV[4], new, ARGV[5])
redis.call('HSET', KEYS[4], unpack(new.pairs))
if named(ARGV[4]) then
  hand_out(KEYS[4], KEYS[5], new, ARGV[5])
end
keep(KEYS[4], new, ARGV[5])
bury(KEYS[1], KEYS[3], ARGV[1], ARGV[3], ARGV[4], ARGV[6])
return settle(new, KEYS[6], doomed, gone, ARGV[6])
