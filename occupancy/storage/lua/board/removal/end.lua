-- removal/end: ends the removal of a board whose keys are swept. Its name is free again.
--
-- The new log begins with a mark, so it has no cursor of the board that was removed.
--
-- KEYS  1 board   2 log
-- ARGV  1 the removal's id   2 the incarnation of the server (see promotion.lua)   3 48 random bits
-- Returns  1 if this script has ended it, else 0
-- Publishes nothing: a stream of such a board was ended, or finds the mark.
-- Needs  promote()

local BOARD, LOG = KEYS[1], KEYS[2]
local removing, cursor, known = unpack(redis.call('HMGET', BOARD, 'removing', 'cursor',
  'incarnation'))
if removing ~= ARGV[1] then
  return 0
end
local may = redis.acl_check_cmd -- else a mark may be left that the board does not know
if may and not (may('XADD', LOG, '*', 'a', '0') and may('HDEL', BOARD, 'a')) then
  return redis.error_reply('ERR ACL failure in script: no permissions to run XADD or HDEL')
end
local time = redis.call('TIME')
local now_ms = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local incarnation = math.max(tonumber(ARGV[2]), tonumber(known or '0'))
redis.call('DEL', LOG)
promote(BOARD, LOG, string.format('%.0f', incarnation), cursor, now_ms, ARGV[3])
redis.call('HDEL', BOARD, 'removing')
return 1
