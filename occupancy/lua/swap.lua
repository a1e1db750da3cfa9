-- swap: replaces a worker if it still is what the caller has read, and tells every process.
--
-- KEYS  1 workers   2 changes
-- ARGV  1 id   2 what the worker was   3 what it shall be   4 the access channel
-- Returns  1 if it was replaced, 0 if somebody else was faster
-- Publishes  "changes id" on the access channel

if redis.call('HGET', KEYS[1], ARGV[1]) ~= ARGV[2] then
  return 0
end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
redis.call('PUBLISH', ARGV[4], redis.call('INCR', KEYS[2]) .. ' ' .. ARGV[1])
return 1
