-- operate/preflight: keys and permissions that would make a write fail later.
--
-- A key of another type makes its read fail: here, before the first write. Board and record were
-- read before; samples, and the item of a single tag, are read before anything is written.
--
-- A permission may be withdrawn at any time, so each command that this operation writes with is
-- checked; permissions are the same for all keys under the prefix. A command that reads is denied at
-- its first call, before the first write. A server older than 7.0 cannot be asked; there is only
-- check_permissions.lua.
--
-- Needs  transition
-- Defines  may()
-- Ends the script with an error.

redis.call('HLEN', VIEW)
for _, key in ipairs({ BY_TAG, BY_STATE, BY_HOLDER }) do
  redis.call('ZCARD', key)
end
redis.call('XLEN', LOG)
redis.call('LLEN', MARKS)
for pair = FIRST_PAIR, FIRST_PAIR + 2 * #tags - 2, 2 do
  if #tags > 1 then
    redis.call('HLEN', KEYS[pair])
  end
  redis.call('XLEN', KEYS[pair + 1])
end

-- The first command that the user may not use, or nil. Without tables: each operation asks.
local may = redis.acl_check_cmd or function() return true end
local denied = not may('HSET', BOARD, 'a', '0') and 'HSET'
  or not may('HINCRBY', BOARD, 'a', '1') and 'HINCRBY'
  or not may('ZADD', BOARD, '0', 'a') and 'ZADD'
  or not may('ZREM', BOARD, 'a') and 'ZREM'
  or not may('XADD', BOARD, '*', 'a', '0') and 'XADD'
  or not may('SET', BOARD, '', 'EX', '1') and 'SET'
  or transition.added_event and not may('PERSIST', BOARD) and 'PERSIST'
  or transition.target == 'removed' and (
    not may('DEL', BOARD) and 'DEL'
    or not may('HDEL', BOARD, 'a') and 'HDEL'
    or not may('EXPIRE', BOARD, '1') and 'EXPIRE')
  or nil
if denied then -- the server's own text
  return redis.error_reply('ERR ACL failure in script: no permissions to run ' .. denied)
end
