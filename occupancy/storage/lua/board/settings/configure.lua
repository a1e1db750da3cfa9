-- settings/configure: changes the settings of a board.
--
-- The caller has made the new values from those that it has read, so it names their version: if others
-- have changed them meanwhile, nothing is done. A step at which items stand is not taken out of the
-- list. Operations are scripts too, so no item comes to that step between the check and the change.
--
-- KEYS  1 board   2 view
-- ARGV  1 the incarnation of the server (see promotion.lua)
--       2 the request as JSON: `expected` (version of the settings, as text), `implicit` (the board
--         exists without having been created), `channel`, `removed` (steps that leave the list)
--       3 … fields and their new values
-- Returns  {refused, status, …}; refused: publications that the server has refused
--       ok and the new version; changed: the settings have another version; board_not_found;
--       step_in_use, the step, and the number of items at it
-- Publishes  "board VERSION" on the board's live channel
-- Needs  next_settings_version(), counted(), publish()

local BOARD, VIEW = KEYS[1], KEYS[2]
local request = cjson.decode(ARGV[2])
local steps, removing, version, known, base, is_counted = unpack(redis.call('HMGET', BOARD, 'steps',
  'removing', 'settings_version', 'incarnation', 'version_base', 'steps_counted'))
if removing or not steps and not request.implicit then
  return { 0, 'board_not_found' }
elseif (version or '0') ~= request.expected then
  return { 0, 'changed' }
end
local fields = { unpack(ARGV, 3) }
local counts = not is_counted and counted(VIEW)
for _, step in ipairs(request.removed) do
  local at_step = counts and (counts[step] or 0)
    or not counts and tonumber(redis.call('HGET', BOARD, 'at:' .. step) or '0')
  if at_step > 0 then
    return { 0, 'step_in_use', step, at_step }
  end
end
for step, at_step in pairs(counts or {}) do
  fields[#fields + 1], fields[#fields + 2] = 'at:' .. step, at_step
end
local following = next_settings_version(version, ARGV[1], known, base)
for _, each in ipairs({ 'steps_counted', '1', 'settings_version', following }) do
  fields[#fields + 1] = each
end

-- All checks are made; from here on only writes.
redis.call('HSET', BOARD, unpack(fields))
for _, step in ipairs(request.removed) do
  redis.pcall('HDEL', BOARD, 'at:' .. step) -- a count of zero: a right to HDEL is not worth a failure
end
publish(request.channel, 'board ' .. following)
return { refused, 'ok', following }
