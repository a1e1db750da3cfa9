-- redeem: uses up a one-time sign-in link.
--
-- The link of the first start is valid only while there is no worker, and adds the first one. A
-- worker's link ends, like their sessions, when their session generation (`stamp`) rises.
--
-- KEYS  1 the link   2 workers
-- ARGV  1 id of the first worker   2 the first worker as JSON
-- Returns  the worker as JSON, or nil if the link is not valid
-- Publishes nothing.

local subject = redis.call('GET', KEYS[1])
if not subject then
  return nil
end
redis.call('DEL', KEYS[1])
if subject == '' then
  if redis.call('HLEN', KEYS[2]) > 0 then
    return nil
  end
  redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
  return ARGV[2]
end
local generation, worker_id = string.match(subject, '^(%d+) (.+)$')
local worker_json = redis.call('HGET', KEYS[2], worker_id)
if not worker_json then
  return nil
end
local worker = cjson.decode(worker_json)
if worker.disabled or (worker.stamp or 0) ~= tonumber(generation) then
  return nil
end
return worker_json
