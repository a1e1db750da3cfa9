-- redeem: uses a one-time sign-in link, once.
--
-- The link of the first start is good only while there is no worker; it makes the first one.
--
-- KEYS  1 the link   2 workers
-- ARGV  1 id of the first worker   2 the first worker as JSON
-- Returns  the worker as JSON, or nil where the link is not good (any more)
-- Publishes nothing.

local worker_id = redis.call('GET', KEYS[1])
if not worker_id then
  return nil
end
redis.call('DEL', KEYS[1])
if worker_id == '' then
  if redis.call('HLEN', KEYS[2]) > 0 then
    return nil
  end
  redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
  return ARGV[2]
end
return redis.call('HGET', KEYS[2], worker_id) or nil
