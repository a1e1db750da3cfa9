-- redeem: uses a one-time sign-in link, once.
--
-- The link of the first start is good only while there is no worker; it makes the first one. One
-- of a worker is void, like their sessions, with whatever has raised their stamp since.
--
-- KEYS  1 the link   2 workers
-- ARGV  1 id of the first worker   2 the first worker as JSON
-- Returns  the worker as JSON, or nil where the link is not good (any more)
-- Publishes nothing.

local made_for = redis.call('GET', KEYS[1])
if not made_for then
  return nil
end
redis.call('DEL', KEYS[1])
if made_for == '' then
  if redis.call('HLEN', KEYS[2]) > 0 then
    return nil
  end
  redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
  return ARGV[2]
end
local stamp, worker_id = string.match(made_for, '^(%d+) (.+)$')
local worker_json = redis.call('HGET', KEYS[2], worker_id)
if not worker_json then
  return nil
end
local worker = cjson.decode(worker_json)
if worker.disabled or (worker.stamp or 0) ~= tonumber(stamp) then
  return nil
end
return worker_json
