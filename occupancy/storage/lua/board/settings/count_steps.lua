-- settings/count_steps: compares the counts of the items at each step with the items; may mend the
-- counts, or only count.
--
-- KEYS  1 board   2 view
-- ARGV  1 "1" to mend, and to count a board of an earlier version; "count" to write nothing, and to
--         compare with no counts: every step where items stand is returned
-- Returns  {step, stored, actual, step, stored, actual …} of the steps whose counts differ
-- Publishes nothing.
-- Needs  counted() of step_counts.lua

local BOARD, VIEW = KEYS[1], KEYS[2]
local fields = redis.call('HGETALL', BOARD)
local actual = counted(VIEW)
local stored, is_counted, exists = {}, false, false
for index = 1, #fields, 2 do
  local step = string.match(fields[index], '^at:(.*)$')
  if step and ARGV[1] ~= 'count' then
    stored[step] = tonumber(fields[index + 1]) or -1
  end
  is_counted = is_counted or fields[index] == 'steps_counted'
  exists = exists or fields[index] == 'steps'
end
if not exists and next(actual) == nil then
  return {} -- no board, a removed one, or one that nobody uses
end
local found, changes = {}, {}
local function compare(step)
  local now, should = stored[step] or 0, actual[step] or 0
  if now ~= should then
    changes[#changes + 1] = 'at:' .. step
    changes[#changes + 1] = should
    for _, each in ipairs({ step, tostring(now), tostring(should) }) do
      found[#found + 1] = each
    end
  end
end
for step in pairs(stored) do
  compare(step)
end
for step in pairs(actual) do
  if stored[step] == nil then
    compare(step)
  end
end
if ARGV[1] == '1' then
  redis.call('HSET', BOARD, 'steps_counted', '1', unpack(changes))
end
return (is_counted or ARGV[1] == 'count') and found or {}
