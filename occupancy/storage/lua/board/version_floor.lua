-- version_floor: what every epoch and version exceeds that is counted from now on.
--
-- A promotion and a restore raise it (promotion.lua, cli/backup/positions.py): what was counted before
-- may be lost, although somebody has seen it.
--
-- Defines  version_floor(), of a board's `incarnation` and `version_base`; core/entities.py has the same

local function version_floor(incarnation, base)
  return math.min(tonumber(incarnation or '0'), 9e6) * 1e9 + tonumber(base or '0')
end
