-- replace_worker: replaces a worker if nobody has changed it meanwhile, and tells every process.
--
-- KEYS  1 workers   2 changes   3 renamed
-- ARGV  1 id   2 the worker as it was read   3 the new worker   4 the access channel
--       5 "1" if the name changes: held items must follow (boards/holder_names.py)
--       6 "1" if an active administrator is one no longer: there must be another
-- Returns  {refused publications, 1 if it was replaced, 0 if it is not what was read any more}
--       or {0, 2} if there is no other active administrator
-- Publishes  "changes id" on the access channel
-- Needs  is_other_admin_left()

-- Fail here, if a key is of another type, and not after the first write.
redis.call('GET', KEYS[2])
redis.call('HLEN', KEYS[3])
if redis.call('HGET', KEYS[1], ARGV[1]) ~= ARGV[2] then
  return { 0, 0 }
end
if ARGV[6] == '1' and not is_other_admin_left() then
  return { 0, 2 }
end
local time = redis.call('TIME')
local number = redis.call('INCR', KEYS[2]) -- first: if it is denied, nothing is changed uncounted
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
if ARGV[5] == '1' then
  redis.call('HSET', KEYS[3], ARGV[1], time[1] .. ' ' .. time[2])
end
publish(ARGV[4], number .. ' ' .. ARGV[1])
return { refused, 1 }
