-- KEYS session, user. Never writes.

local r, refusal = look(KEYS[1], KEYS[2], nil, true)
if refusal then
  return refusal
end
return live(r)
