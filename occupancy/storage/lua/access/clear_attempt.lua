-- clear_attempt: takes back a right attempt, as count_attempt.lua has counted it, and stores the
-- address as known.
--
-- Earlier failures stay: they may be those of a guesser at the same address, who could otherwise
-- continue after each sign-in of the worker.
--
-- KEYS  1 failures of the worker from this address   2 failures of the worker from everywhere
--       3 the address's rate   4 addresses from which the worker has signed in
-- ARGV  1 the address   2 ms that one attempt costs   3 addresses to keep
--       4 seconds that an address is known for
--       5, 6 and 7, 8 number and forgotten_ms of the first two keys, from count_attempt.lua
-- Returns  0
-- Publishes nothing.

local function take_back(key, number, forgotten_ms)
  if number == '-1' or redis.call('EXISTS', key) == 0 then
    return -- not counted there, or expired since
  end
  if redis.call('HINCRBY', key, 'failures', -1) <= 0 then
    redis.call('DEL', key)
  elseif redis.call('HGET', key, 'number') == number then
    -- No attempt came after this one, so it began the present wait: an earlier wait was over, or it
    -- could not have been made. The other failures expire as if it had not been made.
    redis.call('HSET', key, 'until_ms', '0')
    redis.call('PEXPIREAT', key, forgotten_ms)
  end
end

local now_s = tonumber(redis.call('TIME')[1])
take_back(KEYS[1], ARGV[5], ARGV[6])
take_back(KEYS[2], ARGV[7], ARGV[8])
local due_ms = redis.call('GET', KEYS[3])
if due_ms then
  redis.call('SET', KEYS[3], string.format('%.0f', tonumber(due_ms) - tonumber(ARGV[2])), 'KEEPTTL')
end
redis.call('ZADD', KEYS[4], now_s, ARGV[1])
redis.call('ZREMRANGEBYRANK', KEYS[4], 0, -1 - tonumber(ARGV[3]))
redis.call('EXPIRE', KEYS[4], ARGV[4])
return 0
