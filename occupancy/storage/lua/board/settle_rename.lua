-- settle_rename: removes a rename's mark if it is still the one that the caller has dealt with.
--
-- KEYS  1 hash of marks
-- ARGV  1 worker's id   2 the mark
-- Returns  1 if it was that one, else 0
-- Publishes nothing.

if redis.call('HGET', KEYS[1], ARGV[1]) ~= ARGV[2] then
  return 0
end
return redis.call('HDEL', KEYS[1], ARGV[1])
