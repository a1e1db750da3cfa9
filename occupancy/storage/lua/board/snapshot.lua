-- snapshot: one page of a board's items and the cursor to follow them from, read at one instant.
--
-- KEYS  1 board   2 the index to walk (by_tag, by_state or by_holder)   3 view
-- ARGV  1 "1" if the board exists without having been created   2, 3 lexicographic range
--       4 how many items at most   5 length of the prefix before the tag in the index's members
--       6 the cursor that the caller knows already, or ''
--       7 from this number of items on, the caller reads the whole view itself; 0: never
-- Returns  {status, cursor, seq, version floor, more, tag, view, tag, view …}
--       status: ok, board_not_found, unchanged (since the known cursor; nothing follows),
--       whole (the range is all of a large board; nothing follows)
--       more: "1" if the range goes on after the last item
-- Publishes nothing.
-- Needs  version_floor()

local fields = redis.call('HMGET', KEYS[1], 'steps', 'cursor', 'seq', 'incarnation', 'version_base',
  'removing')
if fields[6] or not fields[1] and ARGV[1] ~= '1' then
  return { 'board_not_found' }
end
if ARGV[6] == (fields[2] or '0-0') then
  return { 'unchanged' }
end
local limit, skip, large = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[7])
if large > 0 then
  local count = redis.call('ZCARD', KEYS[2])
  if count >= large and count <= limit then
    return { 'whole' }
  end
end
local tags = redis.call('ZRANGEBYLEX', KEYS[2], ARGV[2], ARGV[3], 'LIMIT', 0, limit + 1)
local more = '0'
if #tags > limit then
  tags[#tags], more = nil, '1'
end
if skip > 0 then
  for index, member in ipairs(tags) do
    tags[index] = string.sub(member, skip + 1)
  end
end
local reply = { 'ok', fields[2] or '0-0', fields[3] or '0',
  string.format('%.0f', version_floor(fields[4], fields[5])), more }
for first = 1, #tags, 1000 do -- unpack() has room for some thousand values only
  local last = math.min(first + 999, #tags)
  local views = redis.call('HMGET', KEYS[3], unpack(tags, first, last))
  for offset = 1, #views do
    if views[offset] then
      reply[#reply + 1] = tags[first + offset - 1]
      reply[#reply + 1] = views[offset]
    end
  end
end
return reply
