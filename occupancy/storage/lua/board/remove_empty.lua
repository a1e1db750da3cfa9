-- remove_empty: removes a board without items. Its log and its positions stay.
--
-- So a board of that name goes on counting, and no cursor, epoch or version comes again.
--
-- KEYS  1 board   2 by_tag
-- ARGV  1 steps as JSON   2 title: only a board that still has these is removed
-- Returns  1 if it was removed, else 0
-- Publishes nothing.

local fields = redis.call('HMGET', KEYS[1], 'steps', 'title')
if redis.call('ZCARD', KEYS[2]) > 0 or fields[1] ~= ARGV[1] or fields[2] ~= ARGV[2] then
  return 0
end
redis.call('HDEL', KEYS[1], 'steps', 'title', 'max_holds')
return 1
