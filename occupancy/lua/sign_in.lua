-- sign_in: opens a session, in place of the one that the browser had.
--
-- KEYS  1 sessions   2 uses   3 session ends   4 workers   5 changes
-- ARGV  1 SHA-256 of the new session's secret   2 the session as JSON, without its times
--       3 seconds that it lasts at most   4 the worker as the caller has read it
--       5 SHA-256 of the session that it replaces, or ''   6 the access channel
-- Returns  the session as JSON; nil where the worker has changed since it was read
-- Publishes  "changes worker" on the access channel for the session that was replaced

local now_s = tonumber(redis.call('TIME')[1])
local session = cjson.decode(ARGV[2])
if redis.call('HGET', KEYS[4], session.worker) ~= ARGV[4] then
  return nil -- a new PIN, disabled: what was checked is no longer so
end
session.created_s, session.ends_s = now_s, now_s + tonumber(ARGV[3])
local session_json = cjson.encode(session)

local replaced = ARGV[5] ~= '' and redis.call('HGET', KEYS[1], ARGV[5])
local over = redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', now_s, 'LIMIT', 0, 100)
if replaced then
  over[#over + 1] = ARGV[5]
end
for _, digest in ipairs(over) do
  redis.call('HDEL', KEYS[1], digest)
  redis.call('HDEL', KEYS[2], digest)
  redis.call('ZREM', KEYS[3], digest)
end
redis.call('HSET', KEYS[1], ARGV[1], session_json)
redis.call('ZADD', KEYS[3], session.ends_s, ARGV[1])
if replaced then
  redis.call('PUBLISH', ARGV[6],
    redis.call('INCR', KEYS[5]) .. ' ' .. cjson.decode(replaced).worker)
end
return session_json
