-- operate/board: what the script needs of the board itself.
--
-- Needs  request
-- Defines  steps, max_holds; cursor, floor_epoch and floor_version, which move with each change
-- Ends the script with board_not_found.

local fields = redis.call('HMGET', BOARD, 'steps', 'max_holds', 'cursor', 'floor_epoch',
  'floor_version')
if not fields[1] and not request.implicit then
  return { 0, 'board_not_found' }
end
local steps = cjson.decode(fields[1] or request.default_steps)
local max_holds = tonumber(fields[2] or '0')
local cursor = fields[3] or '0-0'
-- The highest of all removed items: an item that is added again counts on from there.
local floor_epoch, floor_version = fields[4] or '0', fields[5] or '0'
