-- operate/request: opens the script that decides and records one operation on items of a board.
--
-- scripts.py joins the pieces to one script with one set of locals. For each tag the script makes all
-- checks before its first write. There is no rollback, so nothing after that may fail, for any tag.
-- The possible causes, and why none of them occurs:
-- * no memory, a replica, no disk: the server refuses the first write of a script for these and
--   none after it ("already made a modification"); the first write here is one that needs memory;
-- * a key of another type: each is read before the first write (see preflight.lua);
-- * permissions: see preflight.lua, and publishing.lua for publications.
--
-- KEYS  1 board   2 view   3 by_tag   4 by_state   5 by_holder   6 log   7 samples   8 log marks
--       9 idempotency record (any key of the board where the request has no fingerprint)
--       10, 11 … item and history of each tag, in pairs
--       last: one for each of the request's rates
-- ARGV  1 the request as JSON (see commands.py); values that end up inside JSON come as JSON text
--         and are only concatenated: cjson would lose [] against {} and digits past 14
--       2 the incarnation of the server (see promotion.lua)
--       3 … the tags
-- Returns  {refused, status, cursor, code, changed, version, text, kind, code, changed …}
--       or {0, rate_limited, milliseconds to wait}
--       refused: publications that the server has refused
--       status: ok, replayed, board_not_found, idempotency_key_reused
--       code (per tag): ok, added, or the code of the refusal; changed: 1 or 0
--       version and text: the item after the operation, both '' where there is none
--       kind: text is the "item" as JSON or the "event" that has it; "newest_item" and
--       "newest_event" where the first answer's version is no longer kept
-- Publishes  "previous cursor seq event" on the board's live channel, once for each change;
--       previous is the cursor of the event before it, 0-0 before the first
-- Defines  the names of the keys, request, tags, transition (a row of the table in transitions.py),
--       int(), now_ms, iso(), index_of()

local BOARD, VIEW, BY_TAG, BY_STATE, BY_HOLDER, LOG, SAMPLES, MARKS, RECORD = unpack(KEYS, 1, 9)
local FIRST_PAIR = 10
local request = cjson.decode(ARGV[1])
local tags = { unpack(ARGV, 3) }
local transition = request.transition

local function int(number)
  return string.format('%.0f', number) -- tostring() would turn milliseconds into 1.76e+12
end

local time = redis.call('TIME')
local now_ms = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)

-- RFC 3339 from milliseconds; days to civil date after Howard Hinnant's "chrono-Compatible
-- Low-Level Date Algorithms" (the sandbox has no os.date).
local function iso(ms)
  local days = math.floor(ms / 86400000)
  local rest = ms - days * 86400000
  local shifted = days + 719468
  local era = math.floor(shifted / 146097)
  local doe = shifted - era * 146097
  local yoe = math.floor(
    (doe - math.floor(doe / 1460) + math.floor(doe / 36524) - math.floor(doe / 146096)) / 365)
  local doy = doe - (365 * yoe + math.floor(yoe / 4) - math.floor(yoe / 100))
  local mp = math.floor((5 * doy + 2) / 153)
  local day = doy - math.floor((153 * mp + 2) / 5) + 1
  local month = mp < 10 and mp + 3 or mp - 9
  local year = yoe + era * 400 + (month <= 2 and 1 or 0)
  return string.format('%04d-%02d-%02dT%02d:%02d:%02d.%03dZ', year, month, day,
    math.floor(rest / 3600000), math.floor(rest / 60000) % 60, math.floor(rest / 1000) % 60,
    rest % 1000)
end

local function index_of(list, value)
  for index, each in ipairs(list) do
    if each == value then
      return index
    end
  end
  return nil
end
