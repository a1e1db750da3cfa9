-- sign_in: opens a session, in place of the one that the browser had.
--
-- Nobody has more sessions than are allowed: the one that would end first makes room. Those opened
-- with a token count for themselves: whoever has a wallboard's link ends no session of its worker.
--
-- KEYS  1 sessions   2 uses   3 session ends   4 workers   5 changes
--       6 session ends of the worker, or of the token that opens this one
-- ARGV  1 SHA-256 of the new session's secret   2 the session as JSON, without its times
--       3 seconds that it lasts at most   4 the worker as the caller has read it
--       5 SHA-256 of the session that it replaces, or ''   6 the access channel
--       7 sessions that a worker, or a token, may have
-- Returns  {the session as JSON, workers of whom a session was ended …};
--          nil where the worker has changed since it was read
-- Publishes  "changes worker" on the access channel where a session was ended

local now_s = tonumber(redis.call('TIME')[1])
local session = cjson.decode(ARGV[2])
if redis.call('HGET', KEYS[4], session.worker) ~= ARGV[4] then
  return nil -- a new PIN, disabled: what was checked is no longer so
end
session.created_s, session.ends_s = now_s, now_s + tonumber(ARGV[3])
local session_json = cjson.encode(session)

local function forget(digest)
  redis.call('HDEL', KEYS[1], digest)
  redis.call('HDEL', KEYS[2], digest)
  redis.call('ZREM', KEYS[3], digest)
  redis.call('ZREM', KEYS[6], digest)
end

local reply = { session_json }

local function announce(worker)
  reply[#reply + 1] = worker
  redis.call('PUBLISH', ARGV[6], redis.call('INCR', KEYS[5]) .. ' ' .. worker)
end

for _, digest in ipairs(redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', now_s, 'LIMIT', 0, 100)) do
  forget(digest) -- ended by themselves, anybody's
end
redis.call('ZREMRANGEBYSCORE', KEYS[6], '-inf', now_s)
local replaced = ARGV[5] ~= '' and redis.call('HGET', KEYS[1], ARGV[5])
if replaced then
  forget(ARGV[5])
  announce(cjson.decode(replaced).worker)
end
if redis.call('ZCARD', KEYS[6]) >= tonumber(ARGV[7]) then
  for _, digest in ipairs(redis.call('ZRANGE', KEYS[6], 0, -1)) do
    if redis.call('HEXISTS', KEYS[1], digest) == 0 then
      redis.call('ZREM', KEYS[6], digest) -- signed out
    end
  end
end
if redis.call('ZCARD', KEYS[6]) >= tonumber(ARGV[7]) then
  forget(redis.call('ZRANGE', KEYS[6], 0, 0)[1])
  announce(session.worker)
end
redis.call('HSET', KEYS[1], ARGV[1], session_json)
redis.call('ZADD', KEYS[3], session.ends_s, ARGV[1])
redis.call('ZADD', KEYS[6], session.ends_s, ARGV[1])
redis.call('EXPIREAT', KEYS[6], redis.call('ZRANGE', KEYS[6], -1, -1, 'WITHSCORES')[2])
return reply
