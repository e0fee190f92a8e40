-- KEYS user, index
-- ARGV count, score and id of the last one seen, or '' and ''
-- In the order of deadlines, which only grow: a session used between two pages may be shown
-- twice, none is left out. Members whose record is over are dropped from the index.

local count, seen_score, seen_id = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3]
local floor = not_before(KEYS[1])
local from = '(' .. now_text
if seen_score and seen_score > now then
  from = ARGV[2]
end
local page, gone = {}, {}
local offset, cursor, read_in_all = 0, false, 0
while not cursor do
  local some = redis.call('ZRANGEBYSCORE', KEYS[2], from, '+inf', 'WITHSCORES', 'LIMIT', offset,
    count + 1)
  if #some == 0 then
    break
  end
  for i = 1, #some, 2 do
    local id, score = some[i], tonumber(some[i + 1])
    if not (score == seen_score and id <= seen_id) then
      if #page == count or read_in_all > 10 * count + 100 then
        cursor = true
        break
      end
      read_in_all = read_in_all + 1
      seen_score, seen_id = score, id
      local r = read(sibling(KEYS[2], id), true)
      if r.state == 'live' and not over(r, floor) then
        page[#page + 1] = {id, r.texts}
      elseif r.state ~= 'reserved' then
        gone[#gone + 1] = id
      end
    end
  end
  offset = offset + #some / 2
end
for _, id in ipairs(gone) do
  redis.pcall('ZREM', KEYS[2], id)
end
if cursor then
  return {now_text, page, string.format('%.17g', seen_score), seen_id}
end
return {now_text, page}
