-- KEYS session, user, index
-- ARGV id, ended retention, not after or '', seconds since the activity
-- Moves the deadline first: that is never refused, so sessions stay alive when memory is full.

local r, refusal = look(KEYS[1], KEYS[2], tonumber(ARGV[3]), true)
if refusal then
  return refusal
end
local since = now - tonumber(ARGV[4])
if since > r.last then
  r.last, r.texts[6] = since, tonumber(ARGV[4]) == 0 and now_text or exact(since)
end
keep(KEYS[1], r, ARGV[2])
redis.call('HSET', KEYS[1], 'l', r.texts[6])
enlist(KEYS[3], ARGV[1], r, ARGV[2])
return live(r)
