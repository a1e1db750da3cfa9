-- revoke_station: removes a station, and tells every process.
--
-- Sessions of several workers may end with it. So the change is counted twice and announced once: each
-- process sees that it has missed one, and checks all workers.
--
-- KEYS  1 stations   2 uses   3 changes
-- ARGV  1 SHA-256 of its secret   2 its id as a caller   3 the access channel
-- Returns  {refused publications, 1 if it existed, 0 if not}
-- Publishes  "changes id" on the access channel

-- Fail here, if a key is of another type, and not after the first write.
redis.call('HLEN', KEYS[2])
redis.call('GET', KEYS[3])
if redis.call('HEXISTS', KEYS[1], ARGV[1]) == 0 then
  return { 0, 0 }
end
redis.call('INCR', KEYS[3]) -- first: if it is denied, nothing is revoked uncounted
local number = redis.call('INCR', KEYS[3])
redis.call('HDEL', KEYS[1], ARGV[1])
redis.call('HDEL', KEYS[2], ARGV[1])
publish(ARGV[3], number .. ' ' .. ARGV[2])
return { refused, 1 }
