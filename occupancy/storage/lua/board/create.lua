-- create: creates a board, unless there is one.
--
-- KEYS  1 board   2 by_tag
-- ARGV  1 the incarnation of the server (see promotion.lua)   2 steps as JSON   3 title   4 max_holds
--       5 the version base of a deployment that was restored, else ''
-- Returns  1 if it has created the board, else 0
-- Publishes nothing.

if redis.call('ZCARD', KEYS[2]) > 0 or redis.call('HEXISTS', KEYS[1], 'steps') == 1 then
  return 0
end
local fields = { 'steps', ARGV[2], 'title', ARGV[3], 'max_holds', ARGV[4] }
if tonumber(ARGV[1]) > 0 and redis.call('HEXISTS', KEYS[1], 'cursor') == 0 then
  -- Nothing was written under another incarnation, so the first event needs no mark before it.
  fields[7], fields[8] = 'incarnation', ARGV[1]
end
if ARGV[5] ~= '' and redis.call('HEXISTS', KEYS[1], 'version_base') == 0 then
  fields[#fields + 1], fields[#fields + 2] = 'version_base', ARGV[5]
end
redis.call('HSET', KEYS[1], unpack(fields))
return 1
