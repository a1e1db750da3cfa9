-- create: creates a board, unless there is one.
--
-- What a removed board of this name has left (see remove.lua) stays: cursors, numbers of events,
-- epochs, versions, and the version of the settings go on from there.
--
-- KEYS  1 board   2 by_tag
-- ARGV  1 the incarnation of the server (see promotion.lua)
--       2 the version base of a deployment that was restored, else ''
--       3 … fields of the settings and values
-- Returns  created, exists, or removing: a board of this name is being removed
-- Publishes nothing.
-- Needs  next_settings_version()

local steps, removing, cursor, version, known, base = unpack(redis.call('HMGET', KEYS[1], 'steps',
  'removing', 'cursor', 'settings_version', 'incarnation', 'version_base'))
if removing then
  return 'removing'
elseif redis.call('ZCARD', KEYS[2]) > 0 or steps then
  return 'exists'
end
if not base and ARGV[2] ~= '' then
  base = ARGV[2]
end
local fields = { 'steps_counted', '1',
  'settings_version', next_settings_version(version, ARGV[1], known, base), unpack(ARGV, 3) }
if tonumber(ARGV[1]) > 0 and not cursor then
  -- Nothing was written under another incarnation, so the first event needs no mark before it.
  fields[#fields + 1], fields[#fields + 2] = 'incarnation', ARGV[1]
end
if base then
  fields[#fields + 1], fields[#fields + 2] = 'version_base', base
end
redis.call('HSET', KEYS[1], unpack(fields))
return 'created'
