-- KEYS session, user
-- ARGV generation, next hash or '' to promote
-- Promotion frees the offered hash first, so it works when memory is full.

local r, refusal = look(KEYS[1], KEYS[2], nil, true)
if refusal then
  return refusal
end
local t = r.texts
if r.generation == tonumber(ARGV[1]) then
  if ARGV[2] ~= '' and not t[13] then
    redis.call('HSET', KEYS[1], 'n', ARGV[2])
    t[13] = ARGV[2]
  elseif ARGV[2] == '' and t[13] then
    t[11], t[14], t[12], t[13], t[15] = tostring(r.generation + 1), t[12], t[13], false, now_text
    redis.call('HDEL', KEYS[1], 'n')
    redis.call('HSET', KEYS[1], 'g', t[11], 'h', t[14], 's', t[12], 'm', t[15])
  end
end
return live(r)
