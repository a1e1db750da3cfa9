-- promote: puts the mark of a promotion into a board's log, unless it is there.
--
-- KEYS  1 board   2 log
-- ARGV  1 the incarnation of the server   2 48 random bits
--       3 "1" if the board exists without having been created
-- Returns  1 if this script has put it there, else 0; also where there is no such board
-- Publishes nothing: live delivery looks at the log after a promotion.
-- Needs  promote()

redis.call('XLEN', KEYS[2]) -- fail here, if it is of another type, and not after the first write
local incarnation, cursor = unpack(redis.call('HMGET', KEYS[1], 'incarnation', 'cursor'))
if tonumber(ARGV[1]) <= tonumber(incarnation or '0')
  or ARGV[3] ~= '1' and redis.call('EXISTS', KEYS[1]) == 0 then
  return 0
end
local may = redis.acl_check_cmd -- else a mark may be left that the board does not know
if may and not (may('XADD', KEYS[2], '*', 'a', '0') and may('HSET', KEYS[1], 'a', '0')) then
  return redis.error_reply('ERR ACL failure in script: no permissions to run XADD or HSET')
end
local time = redis.call('TIME')
local now_ms = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
promote(KEYS[1], KEYS[2], ARGV[1], cursor or '0-0', now_ms, ARGV[2])
return 1
