-- removal/sweep: deletes some keys of a board that is being removed.
--
-- Epochs and versions of its items raise the board's floors in the same step, so that a board of the
-- same name counts on from there, however often the sweep is interrupted.
--
-- KEYS  1 board   2 … the keys to delete, those of items first
-- ARGV  1 the removal's id   2 how many of the keys are items
-- Returns  how many were there; -1 where this removal is over (another process has ended it, and
--       there may be a new board of the same name)
-- Publishes nothing.

local BOARD = KEYS[1]
local removing, floor_epoch, floor_version = unpack(redis.call('HMGET', BOARD, 'removing',
  'floor_epoch', 'floor_version'))
if removing ~= ARGV[1] then
  return -1
end
local epoch, version = tonumber(floor_epoch or '0'), tonumber(floor_version or '0')
for position = 2, 1 + tonumber(ARGV[2]) do
  local found = redis.pcall('HMGET', KEYS[position], 'epoch', 'version')
  if not found.err then -- else no item: somebody has written a key of this name
    epoch = math.max(epoch, tonumber(found[1] or '0'))
    version = math.max(version, tonumber(found[2] or '0'))
  end
end
local deleted = redis.call('DEL', unpack(KEYS, 2)) -- first, so that a full server takes it
redis.call('HSET', BOARD, 'floor_epoch', string.format('%.0f', epoch),
  'floor_version', string.format('%.0f', version))
return deleted
