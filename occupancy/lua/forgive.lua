-- forgive: an attempt was right: takes back what attempt.lua has counted, and knows the address.
--
-- KEYS  1 failures of the worker from this address   2 failures of the worker from everywhere
--       3 the address's rate   4 addresses from which the worker has signed in
-- ARGV  1 the address   2 ms that one attempt costs   3 addresses to keep
--       4 seconds that an address is known for
-- Returns  0
-- Publishes nothing.

local now_s = tonumber(redis.call('TIME')[1])
redis.call('DEL', KEYS[1])
local is_known = now_s - tonumber(redis.call('ZSCORE', KEYS[4], ARGV[1]) or '0') < tonumber(ARGV[4])
if not is_known and redis.call('EXISTS', KEYS[2]) == 1 then
  redis.call('HINCRBY', KEYS[2], 'failures', -1)
  redis.call('HSET', KEYS[2], 'until_ms', '0')
end
local due_ms = redis.call('GET', KEYS[3])
if due_ms then
  redis.call('SET', KEYS[3], string.format('%.0f', tonumber(due_ms) - tonumber(ARGV[2])), 'KEEPTTL')
end
redis.call('ZADD', KEYS[4], now_s, ARGV[1])
redis.call('ZREMRANGEBYRANK', KEYS[4], 0, -1 - tonumber(ARGV[3]))
redis.call('EXPIRE', KEYS[4], ARGV[4])
return 0
