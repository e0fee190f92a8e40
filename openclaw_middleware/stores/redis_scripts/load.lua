-- KEYS session, user. Never writes.

local r, refusal = look(KEYS[1], KEYS[2])
if refusal then
  return refusal
end
return live(KEYS[1], r)
