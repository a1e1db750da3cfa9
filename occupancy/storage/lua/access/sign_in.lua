-- sign_in: opens a session, in place of the one that the browser had.
--
-- The number of a worker's sessions is bounded: the least recently used one makes room. Sessions of
-- a token have a bound of their own, so a wallboard's link ends no session of its worker.
-- A recently used one of these does not make room, or somebody with the link could end the wallboard's
-- own: the new one is refused instead. Their rate is bounded, so filling the bound takes an hour.
--
-- KEYS  1 sessions   2 uses   3 session ends   4 workers   5 changes
--       6 session ends of the worker, or of the token that opens this one
--       7, 8 that token's rate, in all and from this address: due time (ms); only with a token
-- ARGV  1 SHA-256 of the new session's secret   2 the session as JSON, without its times
--       3 its longest duration in seconds   4 the worker as it was read
--       5 SHA-256 of the session that it replaces, or ''   6 the access channel
--       7 sessions that a worker, or a token, may have
--       8 ms for one more session of a token, 9 from one address   10, 11 how many of each at once
--       12 seconds since its last use in which a session of a token is not ended to make room
-- Returns  {refused publications, the session as JSON, ids of workers whose session was ended …}
--       or {0, milliseconds to wait} if a token opens sessions too fast
--       or {0, milliseconds to wait, 'full'} if a token has too many, all of them in use
--       or {0, nil} if the worker has changed since it was read
-- Publishes  "changes worker" on the access channel if a session was ended

local SESSIONS, USES, ENDS, WORKERS, CHANGES, ENDS_OF_OWNER = unpack(KEYS, 1, 6)
local new_digest, replaced_digest = ARGV[1], ARGV[5]
local max_sessions, kept_s = tonumber(ARGV[7]), tonumber(ARGV[12])
local time = redis.call('TIME')
local now_s = tonumber(time[1])
local now_ms = now_s * 1000 + math.floor(tonumber(time[2]) / 1000)
local session = cjson.decode(ARGV[2])
if redis.call('HGET', WORKERS, session.worker) ~= ARGV[4] then
  return { 0, false } -- a new PIN, or disabled: the check of the caller is outdated
end
-- Fail here, if a key is of another type, and not after the first write.
redis.call('HLEN', SESSIONS)
redis.call('HLEN', USES)
redis.call('ZCARD', ENDS)
redis.call('GET', CHANGES)
redis.call('ZCARD', ENDS_OF_OWNER)
local due_ms, wait_ms = {}, 0
for i = 7, #KEYS do
  local interval_ms, at_once = tonumber(ARGV[i + 1]), tonumber(ARGV[i + 3])
  local due = math.max(tonumber(redis.call('GET', KEYS[i]) or '0'), now_ms)
  if due > now_ms + interval_ms * at_once then
    due = now_ms -- the clock was set back
  end
  wait_ms = math.max(wait_ms, due - interval_ms * (at_once - 1) - now_ms)
  due_ms[i] = due + interval_ms
end
if wait_ms > 0 then
  return { 0, math.ceil(wait_ms) }
end
-- The session that makes room, if the bound is reached. Ended sessions, and the one that this
-- sign-in replaces, do not count.
local leaving = nil
local digests = redis.call('ZRANGEBYSCORE', ENDS_OF_OWNER, '(' .. now_s, '+inf')
if #digests >= max_sessions then
  local stored = redis.call('HMGET', SESSIONS, unpack(digests))
  local used = redis.call('HMGET', USES, unpack(digests))
  local count, since_s = 0, nil
  for i, digest in ipairs(digests) do
    if stored[i] and digest ~= replaced_digest then
      local used_s = tonumber(used[i] or '0') -- not stored by earlier versions
      count = count + 1
      if not since_s or used_s < since_s then
        leaving, since_s = digest, used_s
      end
    end
  end
  if count < max_sessions then
    leaving = nil
  elseif session.token and since_s + kept_s > now_s then
    return { 0, (since_s + kept_s - now_s) * 1000, 'full' }
  end
end
local replaced = replaced_digest ~= '' and redis.call('HGET', SESSIONS, replaced_digest)
-- An unreadable session lets nobody in, so its end need not be announced.
local is_read, replaced_session = pcall(cjson.decode, replaced or 'null')
for i, due in pairs(due_ms) do
  redis.call('SET', KEYS[i], string.format('%.0f', due), 'PX', math.ceil(due - now_ms))
end
session.created_s, session.ends_s = now_s, now_s + tonumber(ARGV[3])
local session_json = cjson.encode(session)

local function forget(digest)
  redis.call('HDEL', SESSIONS, digest)
  redis.call('HDEL', USES, digest)
  redis.call('ZREM', ENDS, digest)
  redis.call('ZREM', ENDS_OF_OWNER, digest)
end

local reply = { 0, session_json }

local function announce(worker)
  reply[#reply + 1] = worker
  publish(ARGV[6], redis.call('INCR', CHANGES) .. ' ' .. worker)
end

for _, digest in ipairs(redis.call('ZRANGEBYSCORE', ENDS, '-inf', now_s, 'LIMIT', 0, 100)) do
  forget(digest) -- expired ones, of any worker
end
redis.call('ZREMRANGEBYSCORE', ENDS_OF_OWNER, '-inf', now_s)
if replaced then
  if is_read then
    announce(replaced_session.worker) -- first: if it is denied, none is ended uncounted
  end
  forget(replaced_digest)
end
if redis.call('ZCARD', ENDS_OF_OWNER) >= max_sessions then
  for _, digest in ipairs(redis.call('ZRANGE', ENDS_OF_OWNER, 0, -1)) do
    if redis.call('HEXISTS', SESSIONS, digest) == 0 then
      redis.call('ZREM', ENDS_OF_OWNER, digest) -- signed out
    end
  end
end
if leaving then
  announce(session.worker)
  forget(leaving)
end
redis.call('HSET', SESSIONS, new_digest, session_json)
redis.call('HSET', USES, new_digest, now_s)
if session.badge then
  redis.call('HSET', USES, session.badge, now_s)
end
redis.call('ZADD', ENDS, session.ends_s, new_digest)
redis.call('ZADD', ENDS_OF_OWNER, session.ends_s, new_digest)
redis.call('EXPIREAT', ENDS_OF_OWNER, redis.call('ZRANGE', ENDS_OF_OWNER, -1, -1, 'WITHSCORES')[2])
reply[1] = refused
return reply
