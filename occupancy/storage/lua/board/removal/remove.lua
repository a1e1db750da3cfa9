-- removal/remove: marks a board as removed, and deletes all that makes it visible.
--
-- What has a key of its own for each item or request (items, histories, idempotency records) is swept
-- afterwards, in pieces (sweep.lua): until then `removing` is set, and the board is neither there nor
-- can it be created. What keeps numbers from coming again stays for ever: cursor, seq, the floors, the
-- incarnation, the version base and the version of the settings. Without `steps` they are no board.
--
-- The cursor moves on, and counts as the mark of a promotion: so no log, stream or cached snapshot
-- takes a cursor from before for the end of the log.
--
-- KEYS  1 board   2 by_tag   3 view   4 by_state   5 by_holder   6 log   7 log marks   8 samples
-- ARGV  1 the incarnation of the server (see promotion.lua)   2 48 random bits, also the removal's id
--       3 "1" to remove it with its items   4 "1" if the board exists without having been created
--       5 the board's live channel
-- Returns  {refused, status, items}; refused: publications that the server has refused
--       status: ok; board_not_empty, with the number of items; board_not_found; removing: it is being
--       removed already
-- Publishes  "board removed" on the board's live channel
-- Needs  next_cursor(), publish()

local BOARD, BY_TAG = KEYS[1], KEYS[2]
local fields, stored = redis.call('HGETALL', BOARD), {}
for index = 1, #fields, 2 do
  stored[fields[index]] = fields[index + 1]
end
if stored.removing then
  return { 0, 'removing', 0 }
elseif not stored.steps and ARGV[4] ~= '1' then
  return { 0, 'board_not_found', 0 }
end
local items = redis.call('ZCARD', BY_TAG)
if items > 0 and ARGV[3] ~= '1' then
  return { 0, 'board_not_empty', items }
end
local may = redis.acl_check_cmd -- else half of it may be done
if may then
  for _, command in ipairs({ { 'HSET', 'a', '0' }, { 'HDEL', 'a' }, { 'DEL' } }) do
    if not may(command[1], BOARD, unpack(command, 2)) then
      return redis.error_reply('ERR ACL failure in script: no permissions to run ' .. command[1])
    end
  end
end

-- All checks are made; from here on only writes. The first frees memory: a full server refuses a
-- script only the first write, so a board can be removed there too.
redis.call('DEL', unpack(KEYS, 2))
local time = redis.call('TIME')
local now_ms = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local mark = next_cursor(stored.cursor or '0-0', now_ms, ARGV[2])
local incarnation = math.max(tonumber(ARGV[1]), tonumber(stored.incarnation or '0'))
redis.call('HSET', BOARD, 'removing', ARGV[2], 'cursor', mark, 'promoted', mark,
  'incarnation', string.format('%.0f', incarnation), 'seq_before', stored.seq or '0')
local KEPT = { seq = true, seq_before = true, cursor = true, incarnation = true, promoted = true,
  floor_epoch = true, floor_version = true, settings_version = true, version_base = true }
for name in pairs(stored) do
  if not KEPT[name] then
    redis.call('HDEL', BOARD, name)
  end
end
publish(ARGV[5], 'board removed')
return { refused, 'ok', items }
