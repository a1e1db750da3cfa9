-- identify: who shows this credential, if it is good now.
--
-- A session that was opened with a token is good for as long as the token is. Whatever changes a
-- worker's access raises the worker's stamp, which ends the sessions that were opened before.
--
-- KEYS  1 tokens   2 sessions   3 uses   4 workers
-- ARGV  1 "token" or "session"   2 SHA-256 of the secret, in hex
--       3 seconds after which a new use is noted; '' if this is no use by a person or program
-- Returns  {worker, token or '', session or '', seconds until it ends or '', its last use};
--       {why} where it is not good: unknown, expired, disabled, ended
-- Publishes nothing.

local now_s = tonumber(redis.call('TIME')[1])
local digest, token_digest = ARGV[2], ARGV[2]
local token_json, session_json, ends_s, worker_id, session = '', '', nil, nil, nil

if ARGV[1] == 'session' then
  session_json = redis.call('HGET', KEYS[2], digest)
  if not session_json then
    return { 'unknown' }
  end
  session = cjson.decode(session_json)
  worker_id, ends_s, token_digest = session.worker, session.ends_s, session.token
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

local used_s = tonumber(redis.call('HGET', KEYS[3], digest) or session and session.created_s or '0')
if session and session.idle_s then
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

if ARGV[3] ~= '' and now_s - used_s >= tonumber(ARGV[3]) then
  -- A server that takes no writes (full, or a replica) can still say who it is.
  redis.pcall('HSET', KEYS[3], digest, now_s)
  if session and session.idle_s then
    ends_s = math.min(session.ends_s, now_s + session.idle_s)
  end
end
return { worker_json, token_json, session_json, ends_s and tostring(ends_s - now_s) or '' }
