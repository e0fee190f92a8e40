-- KEYS session, user, index
-- ARGV id, reason, tombstone retention, user id or '' (prefixed by '='), version or '',
--      successor or ''
-- With a version it ends only that one: the middle step of a succession across slots.

local r, refusal = look(KEYS[1], KEYS[2])
local owner
if r then
  owner = r.user
elseif refusal[1] == 'ended' then
  owner = refusal[5]
end
if ARGV[4] ~= '' and owner ~= string.sub(ARGV[4], 2) then
  return missing()
end
if refusal then
  return refusal
end
if ARGV[5] ~= '' and r.version ~= tonumber(ARGV[5]) then
  return conflict(KEYS[1], r)
end
local successor = ARGV[6] ~= '' and ARGV[6]
bury(KEYS[1], KEYS[3], ARGV[1], ARGV[2], successor, ARGV[3])
return ended(ARGV[2], now_text, r.user, successor, 1)
