-- operate: take or pause one item of a board, in one step.
--
-- KEYS  1 board   2 view   3 item   4 log
-- ARGV  1 take or pause   2 tag   3 worker's id   4 worker as JSON   5 channel
--       6 now, RFC 3339   7 now in milliseconds
-- Returns  {code, changed, item as JSON, cursor}; code: ok, item_not_found, held, not_holder
-- Publishes the event, which is also what the log keeps; its id there is the event's number.

local BOARD, VIEW, ITEM, LOG = unpack(KEYS)
local operation, tag, worker_id, worker, channel, now, now_ms = unpack(ARGV)

local flat = redis.call('HGETALL', ITEM)
if #flat == 0 then
  return { 'item_not_found', 0, '', '' }
end
local item = {}
for index = 1, #flat, 2 do
  item[flat[index]] = flat[index + 1]
end

local is_held = item.state == 'occupied'
local is_own = is_held and item.holder_id == worker_id
if operation == 'take' and is_held then
  return { is_own and 'ok' or 'held', 0, redis.call('HGET', VIEW, tag), '' }
elseif operation == 'pause' and not is_own then
  return { 'not_holder', 0, redis.call('HGET', VIEW, tag), '' }
end

local changed = { since = now, since_ms = now_ms }
if operation == 'take' then
  changed.state, changed.holder_id, changed.holder = 'occupied', worker_id, worker
else
  changed.state, changed.holder_id, changed.holder = 'paused', '', 'null'
  changed.worked_ms = string.format('%.0f', item.worked_ms + math.max(0, now_ms - item.since_ms))
end
changed.epoch = string.format('%.0f', item.epoch + 1)
changed.version = string.format('%.0f', item.version + 1)
local fields = {}
for name, value in pairs(changed) do
  item[name] = value
  fields[#fields + 1] = name
  fields[#fields + 1] = value
end
redis.call('HSET', ITEM, unpack(fields))

local view = '{"tag":"' .. tag .. '","title":' .. item.title .. ',"state":"' .. item.state
  .. '","step":"' .. item.step .. '","holder":' .. item.holder .. ',"since":"' .. item.since
  .. '","reason":' .. item.reason .. ',"epoch":' .. item.epoch .. ',"version":' .. item.version
  .. ',"worked_s":' .. string.format('%.3f', item.worked_ms / 1000)
  .. ',"attributes":' .. item.attributes .. '}'
redis.call('HSET', VIEW, tag, view)

local seq = string.format('%.0f', redis.call('HINCRBY', BOARD, 'seq', 1))
local event = '{"seq":' .. seq .. ',"type":"item.' .. (operation == 'take' and 'taken' or 'paused')
  .. '","at":"' .. now .. '","actor":' .. worker .. ',"item":' .. view .. '}'
redis.call('XADD', LOG, 'MAXLEN', '~', 100000, seq .. '-0', 'event', event)
redis.call('PUBLISH', channel, event)
return { 'ok', 1, view, seq .. '-0' }
