-- operate/rates: how many operations a caller and an address may do.
--
-- The generic cell rate algorithm (ITU-T I.371): each key holds the time at which its owner has used
-- nothing of the burst. A refused operation costs nothing. An accepted one is written before the
-- checks of the items: it is no part of the board, and if that write fails (a full server) nothing
-- else has happened.
--
-- Needs  request, now_ms
-- Ends the script with rate_limited.

local charges = {}
for position, rate in ipairs(request.rates or {}) do
  local key = KEYS[#KEYS - #request.rates + position]
  local cost_ms = rate.interval_ms * #tags
  local even_ms = math.max(now_ms, tonumber(redis.call('GET', key) or '0'))
  if even_ms > now_ms + 2 * rate.burst_ms then -- no charge reaches so far: the clock was set back
    even_ms = now_ms
  end
  local wait_ms = math.ceil(even_ms + cost_ms - rate.burst_ms - now_ms)
  if wait_ms > 0 then
    return { 0, 'rate_limited', wait_ms }
  end
  charges[position] = { key, even_ms + cost_ms }
end
for _, charge in ipairs(charges) do
  redis.call('SET', charge[1], string.format('%.3f', charge[2]),
    'PX', math.ceil(charge[2] - now_ms))
end
