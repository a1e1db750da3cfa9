-- settings_version: the version of a board's settings, which never comes again with other settings.
--
-- Like the versions of items it goes on from the incarnation × 10⁹ after a promotion, because the old
-- primary may have counted further and lost it (see promotion.lua). A removed board keeps it.
--
-- Defines  next_settings_version(), as text

local function next_settings_version(present, incarnation, known)
  local highest = math.max(tonumber(incarnation) or 0, tonumber(known or '0'))
  local least = math.min(highest, 9e6) * 1e9 -- as in operate/board.lua
  return string.format('%.0f', math.max(tonumber(present or '0'), least) + 1)
end
