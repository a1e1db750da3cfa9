-- identify: whose token this is, if it is good now.
--
-- KEYS  1 tokens   2 workers
-- ARGV  1 SHA-256 of the token, in hex
-- Returns  {worker JSON}, or {} where the token is unknown, expired or revoked, or
--       its worker unknown or disabled
-- Publishes nothing.

local token_json = redis.call('HGET', KEYS[1], ARGV[1])
if not token_json then
  return {}
end
local token = cjson.decode(token_json)
if token.expires_s and tonumber(redis.call('TIME')[1]) >= token.expires_s then
  return {}
end
local worker_json = redis.call('HGET', KEYS[2], token.worker)
if not worker_json or cjson.decode(worker_json).disabled then
  return {}
end
return { worker_json }
