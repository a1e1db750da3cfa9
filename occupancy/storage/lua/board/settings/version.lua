-- settings/version: the version of a board's settings, which never comes again with other settings.
--
-- Like the versions of items it goes on from the version floor after a promotion or a restore, because
-- the old primary may have counted further and lost it. A removed board keeps it.
--
-- Needs  version_floor()
-- Defines  next_settings_version(), as text

local function next_settings_version(present, incarnation, known, base)
  local highest = math.max(tonumber(incarnation) or 0, tonumber(known or '0'))
  return string.format('%.0f',
    math.max(tonumber(present or '0'), version_floor(highest, base)) + 1)
end
