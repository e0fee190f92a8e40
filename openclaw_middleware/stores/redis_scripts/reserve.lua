-- First step of a succession across slots: the new record is written, and loads as missing.
-- KEYS session, user, index
-- ARGV id, reservation seconds, limit or '', action, record pairs...

local id = ARGV[1]
local present = read(KEYS[1])
local r = newcomer(5)
local done = version_of_write(present, r.write)
if done and present.state == 'live' then
  return {'saved', now_text, done, {}}
end
if not done and redis.call('EXISTS', KEYS[1]) == 1 then
  return {'exists', now_text}
end
if named(id) then
  -- where the oldest yield, they yield to the activated record, not to a mere reservation
  local refusal = admit(r, KEYS[2], KEYS[3], ARGV[3], ARGV[4], id)
  if refusal then
    return refusal
  end
end
local until_ = now + ARGV[2]
if named(id) then
  redis.call('ZADD', KEYS[3], exact(until_), id)
  if redis.call('PTTL', KEYS[3]) < 0 then
    expire(KEYS[3], until_)
  end
end
redis.call('HSET', KEYS[1], 'z', '1', unpack(r.pairs))
expire(KEYS[1], until_)
return {'reserved', now_text}
