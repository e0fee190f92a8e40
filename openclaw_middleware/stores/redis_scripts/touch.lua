-- KEYS session, user, index
-- ARGV id, ended retention, not after or ''
-- Moves the deadline first: that is never refused, so sessions stay alive when memory is full.

local r, refusal = look(KEYS[1], KEYS[2], tonumber(ARGV[3]), true)
if refusal then
  return refusal
end
r.last, r.texts[6] = now, now_text
keep(KEYS[1], r, ARGV[2])
redis.call('HSET', KEYS[1], 'l', now_text)
enlist(KEYS[3], ARGV[1], r, ARGV[2])
return live(r)
