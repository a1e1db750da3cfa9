-- replay: the entries of a board's log after a cursor, and where the log ends.
--
-- KEYS  1 board   2 log
-- ARGV  1 "1" if the board exists without having been created
--       2 cursor; '' to ask only where the log ends   3 how many entries at most
-- Returns  {status, head cursor, head seq, version floor, version of the board's settings,
--       cursor, seq, event, cursor, seq, event …}
--       status: ok, board_not_found, board_removed (see remove.lua), or unknown: the cursor is not in
--       the log (trimmed, lost in a crash, of another board, or made up), so what came after it cannot
--       be known; or it is from before the promotion of another server (see promotion.lua), which may
--       have lost some of it, or from before the removal of a board of this name
-- Publishes nothing.
-- Needs  version_floor()

local fields = redis.call('HMGET', KEYS[1], 'steps', 'cursor', 'seq', 'promoted', 'incarnation',
  'version_base', 'settings_version', 'removing')
if fields[8] or not fields[1] and ARGV[1] ~= '1' then
  return { fields[4] and 'board_removed' or 'board_not_found' }
end
local head_cursor, head_seq = fields[2] or '0-0', fields[3] or '0'
local floor = string.format('%.0f', version_floor(fields[5], fields[6]))
local settings_version = fields[7] or '0'
local after, count = ARGV[2], tonumber(ARGV[3])
if after == '' or after == head_cursor then
  return { 'ok', head_cursor, head_seq, floor, settings_version }
end
local function numbers_of(cursor) -- 0 and 0 of what is no cursor: before all of them
  local ms, number = string.match(cursor, '^(%d+)-(%d+)$')
  return tonumber(ms) or 0, tonumber(number) or 0
end

local function is_before(cursor, other)
  local ms, number = numbers_of(cursor)
  local other_ms, other_number = numbers_of(other)
  return ms < other_ms or ms == other_ms and number < other_number
end

-- No mark is among the entries that follow: only the newest may be, and `after` is not before it.
if fields[4] and is_before(after, fields[4]) then
  return { 'unknown', head_cursor, head_seq, floor, settings_version }
end
local entries = redis.call('XRANGE', KEYS[2], after, '+', 'COUNT', count + 1)
local first = entries[1]
if after == '0-0' then -- before the first event: known as long as the log still begins with it
  if not first or first[2][2] ~= '1' then
    return { 'unknown', head_cursor, head_seq, floor, settings_version }
  end
  entries[count + 1] = nil
elseif not first or first[1] ~= after then
  return { 'unknown', head_cursor, head_seq, floor, settings_version }
else
  table.remove(entries, 1)
end
local reply = { 'ok', head_cursor, head_seq, floor, settings_version }
for _, entry in ipairs(entries) do
  reply[#reply + 1] = entry[1]
  reply[#reply + 1] = entry[2][2]
  reply[#reply + 1] = entry[2][4]
end
return reply
