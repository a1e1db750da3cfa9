-- record_audit: appends entries to the audit trail, and removes what is beyond its bounds.
--
-- Each stream has its own bounds of entries and bytes; all have the same age. The oldest entries
-- are removed first, up to 1,600 of a stream in one call, which is more than a call appends.
--
-- KEYS  1 the bytes of each stream, by its number   2 … the streams
-- ARGV  1 the greatest age (ms)   then for each stream its most entries and most bytes
--       then for each entry the number of its stream, from 1, and its JSON
-- Returns  the number of entries that were removed
-- Publishes nothing.

local BYTES = KEYS[1]
local STREAM_COUNT = #KEYS - 1
local OVERHEAD = 40 -- bytes that an entry takes besides its JSON, about
local BATCH, ROUNDS = 16, 100

-- Fail here, if a key is of another type, and not after the first write.
redis.call('HLEN', BYTES)
for position = 2, #KEYS do
  redis.call('XLEN', KEYS[position])
end
local time = redis.call('TIME')
local oldest_ms = tonumber(time[1]) * 1000 - tonumber(ARGV[1])

-- Removes up to BATCH of the oldest entries; how many.
local function remove_some(number)
  local key = KEYS[1 + number]
  local max_entries, max_bytes = tonumber(ARGV[2 * number]), tonumber(ARGV[2 * number + 1])
  local entries = redis.call('XRANGE', key, '-', '+', 'COUNT', BATCH + 1)
  local length = redis.call('XLEN', key)
  local bytes = tonumber(redis.call('HGET', BYTES, number) or '0')
  local removed, freed = 0, 0
  for position = 1, math.min(#entries, BATCH) do
    local id, fields = entries[position][1], entries[position][2]
    local is_old = tonumber(string.match(id, '^%d+')) < oldest_ms
    if not is_old and length - removed <= max_entries and bytes - freed <= max_bytes then
      break
    end
    removed, freed = position, freed + #fields[2] + OVERHEAD
  end
  if removed > 0 then
    if entries[removed + 1] then
      redis.call('XTRIM', key, 'MINID', entries[removed + 1][1])
    else
      redis.call('XTRIM', key, 'MAXLEN', 0)
    end
    redis.call('HINCRBY', BYTES, number, -freed)
  end
  return removed
end

for position = 2 + 2 * STREAM_COUNT, #ARGV, 2 do
  local number, entry = ARGV[position], ARGV[position + 1]
  redis.call('XADD', KEYS[1 + tonumber(number)], '*', 'entry', entry)
  redis.call('HINCRBY', BYTES, number, #entry + OVERHEAD)
end
local all = 0
for number = 1, STREAM_COUNT do
  for _ = 1, ROUNDS do
    local removed = remove_some(number)
    all = all + removed
    if removed < BATCH then
      break
    end
  end
end
return all
