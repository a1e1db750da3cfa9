-- revoke: a token or a session lets nobody in any more, and every process is told.
--
-- KEYS  1 tokens or sessions   2 uses   3 session ends   4 changes
-- ARGV  1 SHA-256 of the secret   2 its worker   3 the access channel
-- Returns  1 if it was there, 0 if not
-- Publishes  "changes worker" on the access channel

if redis.call('HDEL', KEYS[1], ARGV[1]) == 0 then
  return 0
end
redis.call('HDEL', KEYS[2], ARGV[1])
redis.call('ZREM', KEYS[3], ARGV[1])
redis.call('PUBLISH', ARGV[3], redis.call('INCR', KEYS[4]) .. ' ' .. ARGV[2])
return 1
