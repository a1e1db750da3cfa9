-- swap: replaces a field of a hash if it still is what the caller has read.
--
-- KEYS  1 the hash
-- ARGV  1 the field   2 what it was   3 what it shall be
-- Returns  1 if it was replaced, 0 if somebody else was faster
-- Publishes nothing.

if redis.call('HGET', KEYS[1], ARGV[1]) ~= ARGV[2] then
  return 0
end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
return 1
