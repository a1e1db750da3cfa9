-- identify: the worker behind a credential, if it is valid now.
--
-- A session that was opened with a token is valid no longer than the token; one that was opened with a
-- badge, as long as the badge is this worker's and the station is paired. `stamp` is the session
-- generation: the worker's rises with whatever ends the earlier sessions. A station has no worker.
--
-- KEYS  1 tokens   2 sessions   3 uses   4 workers   5 stations   6 badges
-- ARGV  1 "token", "session" or "station"   2 SHA-256 of the secret, in hex
--       3 seconds after which a new use of a session is stored; '' if the request is no use
--       4 seconds after which a new use of a token or a station is stored
-- Returns  {worker or '', token or '', session or '', seconds until it ends or '', station or '',
--          seconds since the session began or ''};
--       {reason} if it is not valid: unknown, expired, disabled, ended
-- Publishes nothing.

local now_s = tonumber(redis.call('TIME')[1])
local digest, token_digest = ARGV[2], ARGV[2]
local token_json, session_json, ends_s, worker_id, session = '', '', nil, nil, nil
local station_json = ''

local function last_use_s(of, otherwise_s)
  return tonumber(redis.call('HGET', KEYS[3], of) or otherwise_s)
end

local function store_use(of)
  redis.pcall('HSET', KEYS[3], of, now_s) -- a full server, or a replica, can still identify
end

-- Whether the station is paired. Whatever is asked there is its use.
local function is_paired(station_digest)
  station_json = redis.call('HGET', KEYS[5], station_digest)
  if not station_json or not cjson.decode(station_json).paired_s then
    return false
  end
  if now_s - last_use_s(station_digest, 0) >= tonumber(ARGV[4]) then
    store_use(station_digest)
  end
  return true
end

if ARGV[1] == 'station' then
  if not is_paired(digest) then
    return { 'unknown' }
  end
  return { '', '', '', '', station_json, '' }
end
if ARGV[1] == 'session' then
  session_json = redis.call('HGET', KEYS[2], digest)
  if not session_json then
    return { 'unknown' }
  end
  session = cjson.decode(session_json)
  worker_id, ends_s, token_digest = session.worker, session.ends_s, session.token
  if session.badge then
    local badge_json = redis.call('HGET', KEYS[6], session.badge)
    if not badge_json or cjson.decode(badge_json).worker ~= worker_id then
      return { 'unknown' }
    end
  end
  if session.station and not is_paired(session.station) then
    return { 'unknown' }
  end
end
if token_digest then
  token_json = redis.call('HGET', KEYS[1], token_digest)
  if not token_json then
    return { 'unknown' }
  end
  local token = cjson.decode(token_json)
  worker_id = token.worker
  if token.expires_s then
    ends_s = math.min(token.expires_s, ends_s or token.expires_s)
  end
end

local used_s = session and session.idle_s and last_use_s(digest, session.created_s)
if used_s then
  ends_s = math.min(ends_s, used_s + session.idle_s)
end
if ends_s and now_s >= ends_s then
  return { 'expired' }
end
local worker_json = redis.call('HGET', KEYS[4], worker_id)
if not worker_json then
  return { 'unknown' }
end
local worker = cjson.decode(worker_json)
if worker.disabled then
  return { 'disabled' }
elseif session and (session.stamp or 0) ~= (worker.stamp or 0) then
  return { 'ended' }
end

-- Every request with a token is a use, including those of a wallboard that only watches.
if token_digest and now_s - last_use_s(token_digest, 0) >= tonumber(ARGV[4]) then
  store_use(token_digest)
end
-- The same for a session opened with a token: sign_in.lua ends the least recently used one.
if session and token_digest and now_s - last_use_s(digest, session.created_s or 0) >= tonumber(ARGV[4]) then
  store_use(digest)
end
if used_s and ARGV[3] ~= '' and now_s - used_s >= tonumber(ARGV[3]) then
  store_use(digest)
  ends_s = math.min(session.ends_s, now_s + session.idle_s)
end
return {
  worker_json, token_json, session_json, ends_s and tostring(ends_s - now_s) or '', station_json,
  session and tostring(now_s - (session.created_s or 0)) or '',
}
