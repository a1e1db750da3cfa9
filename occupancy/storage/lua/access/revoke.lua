-- revoke: removes a token or a session, and tells every process.
--
-- KEYS  1 tokens or sessions   2 uses   3 session ends   4 changes
-- ARGV  1 SHA-256 of the secret   2 its worker   3 the access channel
-- Returns  {refused publications, 1 if it existed, 0 if not}
-- Publishes  "changes worker" on the access channel

-- Fail here, if a key is of another type, and not after the first write.
redis.call('HLEN', KEYS[2])
redis.call('ZCARD', KEYS[3])
redis.call('GET', KEYS[4])
if redis.call('HEXISTS', KEYS[1], ARGV[1]) == 0 then
  return { 0, 0 }
end
-- A full server refuses INCR, but not after a write that it accepts, such as this one.
redis.call('HDEL', KEYS[2], ARGV[1])
local number = redis.call('INCR', KEYS[4]) -- then: if it is denied, nothing is revoked uncounted
redis.call('HDEL', KEYS[1], ARGV[1])
redis.call('ZREM', KEYS[3], ARGV[1])
publish(ARGV[3], number .. ' ' .. ARGV[2])
return { refused, 1 }
