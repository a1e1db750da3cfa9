-- check_permissions: which commands and channels that the scripts need are denied to this user.
--
-- Each write is tried on a key of another type, or where it has no effect: it fails by that, or for
-- lack of rights, and changes nothing.
--
-- KEYS  1 a key that stays, and is a string   2 a key that is never there
-- ARGV  the channels to publish on
-- Returns  what is denied: commands, and channels with a "&" before them
-- Publishes  "?" on each allowed channel, which no reader takes for an event
-- Needs  PUBLISH

local denied = {}
local function try(name, ...)
  local answer = redis.pcall(...)
  local text = type(answer) == 'table' and tostring(answer.err) or ''
  -- By Redis 7.0; by Valkey and later versions of Redis (see server_errors.py).
  if string.find(text, 'The user executing the script', 1, true)
    or string.find(text, 'ACL failure in script', 1, true) then
    denied[#denied + 1] = name
  end
end

local STRING, NONE = KEYS[1], KEYS[2]
try('del', 'DEL', NONE)
try('set', 'SET', STRING, '', 'NX')
try('get', 'GET', STRING)
if #denied > 0 or redis.call('GET', STRING) == false then
  return denied -- without the first key the others would write
end
for _, command in ipairs({
  { 'HSET', 'a', '0' }, { 'HDEL', 'a' }, { 'HINCRBY', 'a', '1' }, { 'HGET', 'a' },
  { 'HMGET', 'a' }, { 'HGETALL' }, { 'HVALS' }, { 'HLEN' }, { 'HEXISTS', 'a' },
  { 'ZADD', '0', 'a' }, { 'ZREM', 'a' }, { 'ZCARD' }, { 'ZSCORE', 'a' }, { 'ZRANGE', '0', '0' },
  { 'ZRANGEBYLEX', '-', '+' }, { 'ZRANGEBYSCORE', '0', '0' }, { 'ZLEXCOUNT', '-', '+' },
  { 'ZREMRANGEBYSCORE', '0', '0' }, { 'ZREMRANGEBYRANK', '0', '0' },
  { 'XADD', '*', 'a', '0' }, { 'XLEN' }, { 'XTRIM', 'MAXLEN', '1' }, { 'XRANGE', '-', '+' },
  { 'XREVRANGE', '+', '-' }, { 'RPUSH', 'a' }, { 'LPOP' }, { 'LLEN' }, { 'INCR' },
}) do
  try(string.lower(command[1]), command[1], STRING, unpack(command, 2))
end
for _, command in ipairs({
  { 'EXPIRE', '1' }, { 'PEXPIRE', '1' }, { 'EXPIREAT', '1' }, { 'PEXPIREAT', '1' }, { 'PTTL' },
  { 'PERSIST' }, { 'EXISTS' },
}) do
  try(string.lower(command[1]), command[1], NONE, unpack(command, 2))
end
try('time', 'TIME')
for _, channel in ipairs(ARGV) do
  try('&' .. channel, PUBLISH, channel, '?')
end
return denied
