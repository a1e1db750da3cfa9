-- count_attempt: whether a PIN may be tried now. If so, counts the attempt as a failure.
--
-- The attempt is counted before the PIN is checked, so that a hundred attempts at once count as a
-- hundred; clear_attempt.lua takes a right one back.
--
-- KEYS  1 failures of the worker from this address   2 failures of the worker from everywhere
--       3 the address's rate   4 addresses from which the worker has signed in
-- ARGV  1 the address   2 free failures, of the pair   3 free failures, of the worker
--       4 longest wait in ms   5 attempts of an address at once   6 ms for one more
--       7 ms until failures are forgotten   8 seconds that an address is known for
-- Returns  {milliseconds to wait} if not;
--       or {0, number, forgotten_ms, number, forgotten_ms} for clear_attempt.lua: for each of the
--          first two keys the attempt's number, and when its failures would have expired without it (ms);
--          -1, -1 where it was not counted
-- Publishes nothing.

local time = redis.call('TIME')
local now_s = tonumber(time[1])
local now_ms = now_s * 1000 + math.floor(tonumber(time[2]) / 1000)
local longest_ms = tonumber(ARGV[4])

local function wait_ms(key)
  local left_ms = tonumber(redis.call('HGET', key, 'until_ms') or '0') - now_ms
  -- More than the longest wait: the clock was set back since, and that must lock nobody out.
  return left_ms <= longest_ms and left_ms or 0
end

local function count(key, free)
  local left_ms = math.max(redis.call('PTTL', key), 0)
  local over = redis.call('HINCRBY', key, 'failures', 1) - free
  if over >= 0 then
    local delay_ms = math.min(longest_ms, 2000 * 2 ^ math.min(over, 30))
    redis.call('HSET', key, 'until_ms', string.format('%.0f', now_ms + delay_ms))
  end
  redis.call('PEXPIRE', key, ARGV[7])
  return redis.call('HINCRBY', key, 'number', 1), now_ms + left_ms
end

local signed_in_s = tonumber(redis.call('ZSCORE', KEYS[4], ARGV[1]) or '0')
local is_known = now_s - signed_in_s < tonumber(ARGV[8])
local wait = wait_ms(KEYS[1])
if not is_known then
  -- At an address where the worker signs in every day, nobody elsewhere can lock them out.
  wait = math.max(wait, wait_ms(KEYS[2]))
end
local burst_ms = (tonumber(ARGV[5]) - 1) * tonumber(ARGV[6])
local due_ms = math.max(tonumber(redis.call('GET', KEYS[3]) or '0'), now_ms)
if due_ms > now_ms + burst_ms + tonumber(ARGV[6]) then
  due_ms = now_ms -- the clock again
end
wait = math.max(wait, due_ms - burst_ms - now_ms)
if wait > 0 then
  return { math.ceil(wait) }
end

local number, forgotten_ms = count(KEYS[1], tonumber(ARGV[2]))
local worker_number, worker_forgotten_ms = -1, -1
if not is_known then
  worker_number, worker_forgotten_ms = count(KEYS[2], tonumber(ARGV[3]))
end
due_ms = due_ms + tonumber(ARGV[6])
redis.call('SET', KEYS[3], string.format('%.0f', due_ms), 'PX', math.ceil(due_ms - now_ms))
return { 0, number, forgotten_ms, worker_number, worker_forgotten_ms }
