-- KEYS session, user, index
-- ARGV id, ended retention, version, write id, active or '', not after or '',
--      idle timeout, absolute timeout, policy, payload
-- Compare and set; never creates.

local r, refusal = look(KEYS[1], KEYS[2], tonumber(ARGV[6]))
if refusal then
  return refusal
end
local done = version_of_write(r, ARGV[4])
if done then
  return {'saved', now_text, done, {}}
end
if r.version ~= tonumber(ARGV[3]) then
  return conflict(KEYS[1], r)
end
local longer = tonumber(ARGV[8]) > r.absolute
r.idle, r.absolute = tonumber(ARGV[7]), tonumber(ARGV[8])
local last = r.texts[6]
if ARGV[5] ~= '' then
  last, r.last = now_text, now
end
local earlier = earlier_writes(r)
r.version = r.version + 1
redis.call('HSET', KEYS[1], 'v', r.version, 'w', ARGV[4], 'l', last, 'i', ARGV[7], 'b', ARGV[8],
  'o', ARGV[9], 'p', ARGV[10], 'k', earlier)
enlist(KEYS[3], ARGV[1], r, ARGV[2])
keep(KEYS[1], r, ARGV[2])
if longer and named(ARGV[1]) then
  prolong(KEYS[2], r.started + r.absolute + ARGV[2])
end
return {'saved', now_text, r.version, {}}
