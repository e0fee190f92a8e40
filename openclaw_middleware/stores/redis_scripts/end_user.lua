-- KEYS user, index, spared session, the caller's own (or any keys of the slot)
-- ARGV reason, spared id or '', not-before retention, ended retention, own id or ''
-- The index goes as a whole: everything it lists is below the new not-before. Freeing it first
-- lets the rest be written when memory is full.

local floor = not_before(KEYS[1])
local text, at = now_text, now
if floor and floor.at >= now then
  -- the clock went back, or the last call was this very moment: whom it spared is not spared now
  at = floor.at + TICK
end
at = math.max(at, latest(KEYS[1]))
if at > now then
  text = string.format('%.6f', at)
  at = tonumber(text)
end
local found = redis.call('ZCOUNT', KEYS[2], '(' .. now_text, '+inf')
local spared
if ARGV[2] ~= '' then
  local r = read(KEYS[3])
  if r.state == 'live' and not over(r, floor) then
    spared = r
    if redis.call('ZSCORE', KEYS[2], ARGV[2]) then
      found = found - 1
    end
  end
end
local own = 0
if ARGV[5] ~= '' and ARGV[5] ~= ARGV[2] then
  local r = read(KEYS[4])
  own = r.state == 'live' and not over(r, floor) and 1 or 0
end
redis.call('UNLINK', KEYS[2])
redis.call('HSET', KEYS[1], 't', text, 'r', ARGV[1])
prolong(KEYS[1], at + ARGV[3])
if spared then
  redis.call('HSET', KEYS[3], 'f', string.format('%.6f', at + TICK))
  enlist(KEYS[2], ARGV[2], spared, ARGV[4])
end
announce(KEYS[1], string.match(KEYS[1], '{(.-)}'))
return {text, math.min(found, 1000), now_text, own}
