-- operate/board: what the script needs of the board itself.
--
-- Needs  request, version_floor()
-- Defines  steps, max_holds, counts_steps (see step_counts.lua); cursor, floor_epoch and
--       floor_version, which move with each change; incarnation, is_promoted (it has risen), least
--       (what each epoch and version exceeds)
-- Ends the script with board_not_found.

local fields = redis.call('HMGET', BOARD, 'steps', 'max_holds', 'cursor', 'floor_epoch',
  'floor_version', 'incarnation', 'version_base', 'removing', 'steps_counted')
if fields[8] or not fields[1] and not request.implicit then
  return { 0, 'board_not_found' }
end
local steps = cjson.decode(fields[1] or request.default_steps)
local max_holds = tonumber(fields[2] or '0')
local counts_steps = fields[9]
local cursor = fields[3] or '0-0'
-- The highest of all removed items: an item that is added again counts on from there.
local floor_epoch, floor_version = fields[4] or '0', fields[5] or '0'
-- What was counted under a lower incarnation may be lost and counted again: so no epoch and no version
-- comes again with another content. A server that is not as far does not put it back.
local incarnation = math.max(tonumber(ARGV[2]), tonumber(fields[6] or '0'))
local is_promoted = incarnation > tonumber(fields[6] or '0')
local least = version_floor(incarnation, fields[7]) -- below 2^53, where counting on is still exact
