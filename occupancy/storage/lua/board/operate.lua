-- operate: decides and records one operation on one or more items of a board.
--
-- The engine behind every row of the transition table (occupancy/model.py): take, pause,
-- complete, release, force-release, reassign, block, unblock, reopen, put, remove; and behind
-- rename, which shows a holder's new name. For each tag it makes all checks first and only then
-- writes, so that a refusal leaves no trace.
--
-- A script has no rollback, so nothing after the first write may fail, for any tag. What could, and
-- why it does not:
-- * no memory, a replica, no disk: the server refuses the first write of a script for these and
--   none after it ("already made a modification"); the first write here is one that needs memory;
-- * a key of another type: each is read before the first write (check_keys);
-- * rights: the server is asked for each command that this operation writes with (denied_command),
--   because a right may be taken away at any moment; they are the same for all keys under the prefix. A command that reads
--   is denied at its first call, before the first write. A server older than 7.0 cannot be asked:
--   there rights.lua, which tries every command now and then, must do;
-- * rights to publish: see publishing.lua; the feeds read from the log what they have not heard.
--
-- KEYS  1 board   2 view   3 by_tag   4 by_state   5 by_holder   6 log   7 samples   8 log marks
--       9 idempotency record (any key of the board where the request has no fingerprint)
--       10, 11 … item and history of each tag, in pairs
--       last: one for each of the request's rates
-- ARGV  1 the request as JSON (see Store.operate); values that end up inside JSON come as JSON
--         text and are only concatenated: cjson would lose [] against {} and digits past 14
--       2 … the tags
-- Returns  {refused, status, cursor, code, changed, view, of, code, changed, view, of …}
--       or {0, rate_limited, milliseconds to wait}
--       refused: publications that the server has refused
--       status: ok, replayed, board_not_found, idempotency_key_reused
--       code (per tag): ok, added, or the code of the refusal; changed: 1 or 0; view: the item as
--       JSON as it is after the operation, '' where there is none; of: "then", or "now" if the
--       first answer's version is no longer kept and view is the present one
-- Publishes  "previous cursor seq event" on the board's live channel, once for each change; previous
--       is the cursor of the event before it, 0-0 before the first

local BOARD, VIEW, BY_TAG, BY_STATE, BY_HOLDER, LOG, SAMPLES, MARKS, RECORD = unpack(KEYS, 1, 9)
local FIRST_PAIR = 10
local request = cjson.decode(ARGV[1])
local row = request.row

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

-- Rates -----------------------------------------------------------------------------------------

-- The generic cell rate algorithm (ITU-T I.371): each key holds the moment at which its owner is
-- even again. What is not let through costs nothing. What is, is written before the checks of the
-- items: it is no part of the board, and if it fails (a full server) nothing else has happened.
local charges = {}
for position, rate in ipairs(request.rates or {}) do
  local key = KEYS[#KEYS - #request.rates + position]
  local cost_ms = rate.interval_ms * (#ARGV - 1)
  local even_ms = math.max(now_ms, tonumber(redis.call('GET', key) or '0'))
  if even_ms > now_ms + 2 * rate.burst_ms then -- no charge reaches so far: the clock was set back
    even_ms = now_ms
  end
  local wait_ms = math.ceil(even_ms + cost_ms - rate.burst_ms - now_ms)
  if wait_ms > 0 then
    return { 0, 'rate_limited', wait_ms }
  end
  charges[position] = { key, even_ms + cost_ms }
end
for _, charge in ipairs(charges) do
  redis.call('SET', charge[1], string.format('%.3f', charge[2]),
    'PX', math.ceil(charge[2] - now_ms))
end

-- The board -------------------------------------------------------------------------------------

local fields = redis.call('HMGET', BOARD, 'steps', 'max_holds', 'cursor', 'floor_epoch',
  'floor_version')
if not fields[1] and not request.implicit then
  return { 0, 'board_not_found' }
end
local steps = cjson.decode(fields[1] or request.default_steps)
local max_holds = tonumber(fields[2] or '0')
local cursor = fields[3] or '0-0'
-- The highest of the items that were removed: an item that is added again counts on from there.
local floor_epoch, floor_version = fields[4] or '0', fields[5] or '0'

local function step_index(name)
  for index, step in ipairs(steps) do
    if step == name then
      return index
    end
  end
  return nil
end

-- An answer given before ------------------------------------------------------------------------

-- A record is `"fingerprint cursor code,changed,version code,changed,version …"`, some 42 bytes for
-- one tag. The item of the answer is looked up in its history, which has each version once. Older
-- processes, whose records are objects, take a JSON string for the record of another request: they
-- refuse the key and carry nothing out twice.
local SHORT = 16 -- hex digits of the fingerprint: 64 bits, enough for one worker's keys on a board

local function version_of(view)
  return string.match(view, ',"epoch":%d+,"version":(%d+),')
end

-- The view of a version, and "then"; if it is not kept, the newest there is, and "now".
local function recall(position, version, at_cursor)
  if version == '0' then
    return '', 'then' -- the answer had no item
  end
  local view = redis.call('HGET', VIEW, ARGV[position + 1])
  if view and version_of(view) == version then
    return view, 'then'
  end
  local history = KEYS[FIRST_PAIR - 1 + 2 * position]
  local function item_in(entry) -- a quotation mark inside a string has a backslash before it
    return string.match(entry[2][2], ',"item":(.*)}$')
  end
  -- An event's entry in the history is moments younger than the one in the log. The range may also
  -- have changes of the next second, and those after the clock was set back.
  local until_ms = int(tonumber(string.match(at_cursor, '^%d+')) + 1000)
  for _, entry in ipairs(redis.call('XREVRANGE', history, until_ms, '-', 'COUNT', 50)) do
    local item = item_in(entry)
    if version_of(item) == version then
      return item, 'then'
    end
  end
  local newest = not view and redis.call('XREVRANGE', history, '+', '-', 'COUNT', 1)[1]
  return view or newest and item_in(newest) or '', 'now'
end

local function replayed(record)
  local reply = { 0, 'replayed' }
  if string.sub(record, 1, 1) == '{' then -- of a version that kept whole replies
    local first = cjson.decode(record)
    if first.fingerprint ~= request.fingerprint then
      return { 0, 'idempotency_key_reused' }
    end
    reply[3] = first.reply[2]
    for index = 3, #first.reply, 3 do
      reply[#reply + 1], reply[#reply + 2], reply[#reply + 3], reply[#reply + 4] =
        first.reply[index], first.reply[index + 1], first.reply[index + 2], 'then'
    end
    return reply
  end
  local fingerprint, at_cursor, outcomes = string.match(record, '^"(.*) (%d+%-%d+) ([%l_,%d ]*)"$')
  if fingerprint ~= string.sub(request.fingerprint, 1, SHORT) then
    return { 0, 'idempotency_key_reused' }
  end
  reply[3] = at_cursor
  for code, changed, version in string.gmatch(outcomes, '([%l_]+),([01]),(%d+)') do
    local view, of = recall((#reply + 1) / 4, version, at_cursor)
    if view == '' and version ~= '0' then
      code, changed = 'item_not_found', '0' -- the item and its history are gone
    end
    reply[#reply + 1], reply[#reply + 2], reply[#reply + 3], reply[#reply + 4] =
      code, changed, view, of
  end
  return reply
end

if request.fingerprint then
  local record = redis.call('GET', RECORD)
  if record then
    return replayed(record)
  end
end

-- A key of another type makes its read fail: here, before the first write. Board and record were
-- read above; samples, and the item of a single tag, are read before anything is written.
local function check_keys()
  redis.call('HLEN', VIEW)
  for _, key in ipairs({ BY_TAG, BY_STATE, BY_HOLDER }) do
    redis.call('ZCARD', key)
  end
  redis.call('XLEN', LOG)
  redis.call('LLEN', MARKS)
  for position = 1, #ARGV - 1 do
    local pair = FIRST_PAIR - 2 + 2 * position
    if #ARGV > 2 then
      redis.call('HLEN', KEYS[pair])
    end
    redis.call('XLEN', KEYS[pair + 1])
  end
end
check_keys()

-- The first command that the user may not use, or nil. Without tables: each operation asks.
local may = redis.acl_check_cmd or function() return true end
local function denied_command()
  return not may('HSET', BOARD, 'a', '0') and 'HSET'
    or not may('HINCRBY', BOARD, 'a', '1') and 'HINCRBY'
    or not may('ZADD', BOARD, '0', 'a') and 'ZADD'
    or not may('ZREM', BOARD, 'a') and 'ZREM'
    or not may('XADD', BOARD, '*', 'a', '0') and 'XADD'
    or not may('SET', BOARD, '', 'EX', '1') and 'SET'
    or row.operation == 'put' and not may('PERSIST', BOARD) and 'PERSIST'
    or row.target == 'removed' and (
      not may('DEL', BOARD) and 'DEL'
      or not may('HDEL', BOARD, 'a') and 'HDEL'
      or not may('EXPIRE', BOARD, '1') and 'EXPIRE')
    or nil
end
local denied = denied_command()
if denied then -- in the words of the server
  return redis.error_reply('ERR ACL failure in script: no permissions to run ' .. denied)
end

-- Items -----------------------------------------------------------------------------------------

local function load(key)
  local flat = redis.call('HGETALL', key)
  if #flat == 0 then
    return nil
  end
  local item = {}
  for index = 1, #flat, 2 do
    item[flat[index]] = flat[index + 1]
  end
  return item
end

local function render(tag, item)
  return '{"tag":"' .. tag .. '","title":' .. item.title .. ',"state":"' .. item.state
    .. '","step":"' .. item.step .. '","holder":' .. item.holder
    .. ',"since":"' .. iso(tonumber(item.since_ms)) .. '","reason":' .. item.reason
    .. ',"epoch":' .. item.epoch .. ',"version":' .. item.version
    .. ',"worked_s":' .. string.format('%.3f', tonumber(item.worked_ms) / 1000)
    .. ',"attributes":' .. item.attributes .. '}'
end

local function new_item(tag)
  return {
    title = '"' .. tag .. '"', attributes = '{}', state = 'available', step = steps[1],
    holder = 'null', holder_id = '', since_ms = int(now_ms), reason = 'null', worked_ms = '0',
    -- An item that is removed and added again goes on counting: a fencing token never comes back.
    epoch = floor_epoch, version = floor_version,
    prior = 'available', prior_reason = 'null', last_operation = '', last_actor = '',
  }
end

local function holds_of(worker)
  return redis.call('ZLEXCOUNT', BY_HOLDER, '[' .. worker .. '|', '(' .. worker .. '}')
end

local next_holder = { caller = request.actor_id, to = request.to_id, nobody = '' }
local next_holder_json = { caller = request.actor, to = request.to, nobody = 'null' }

-- Whether the effect of the operation already stands for this caller.
local function is_repeat(item, title, attributes)
  if row.operation == 'rename' then
    return item.holder_id ~= request.to_id or item.holder == request.to
  elseif row.operation == 'put' then
    return item.title == title and item.attributes == attributes
  elseif row.target == 'occupied' then
    return item.state == 'occupied' and item.holder_id == next_holder[row.holder]
  end
  return item.last_operation == row.operation and item.last_actor == request.actor_id
    and (not request.step or request.step == item.step)
end

local function contains(list, value)
  for _, each in ipairs(list) do
    if each == value then
      return true
    end
  end
  return false
end

-- The code of the refusal for what the caller relies on, or nil. Reads only.
local function precondition_refusal(item)
  if request.versions and request.versions[1] ~= '*'
    and not contains(request.versions, item.version) then
    return 'version_mismatch'
  elseif request.epoch and request.epoch ~= item.epoch then
    return 'stale_epoch'
  end
  return nil
end

-- The code of the refusal for the item's state and its holders, or nil. Reads only.
local function state_refusal(item)
  if not contains(row.sources, item.state) then
    local needs_free = row.operation == 'take' or row.operation == 'remove'
    if item.state == 'occupied' and needs_free then
      return 'held'
    end
    return item.state == 'blocked' and 'blocked' or 'wrong_state'
  elseif row.holder_only and item.holder_id ~= request.actor_id then
    return 'not_holder'
  elseif request.step and not step_index(request.step) then
    return 'unknown_step'
  elseif row.target == 'occupied' and max_holds > 0
    and holds_of(next_holder[row.holder]) >= max_holds then
    return 'limit_reached'
  end
  return nil
end

-- What the operation does to state, step, reason and time; the holder comes after.
local effects = {
  occupied = function(item)
    if item.state ~= 'occupied' then -- else the work goes on in other hands: since survives
      item.prior, item.prior_reason = item.state, item.reason
      item.since_ms = int(now_ms)
    end
    item.state, item.reason = 'occupied', request.reason
  end,
  paused = function(item)
    item.state, item.reason, item.since_ms = 'paused', request.reason, int(now_ms)
  end,
  blocked = function(item)
    item.prior = item.state == 'occupied' and 'paused' or item.state
    item.prior_reason = item.state == 'paused' and item.reason or 'null'
    item.state, item.reason, item.since_ms = 'blocked', request.reason, int(now_ms)
  end,
  restore = function(item)
    item.state, item.reason, item.since_ms = item.prior, item.prior_reason, int(now_ms)
  end,
  advance = function(item)
    local following = steps[(step_index(item.step) or #steps) + 1]
    item.state = following and 'available' or 'completed'
    if following then
      item.step, item.worked_ms = following, '0'
    end
    item.reason, item.since_ms = 'null', int(now_ms)
  end,
  available = function(item)
    local step = request.step or steps[#steps]
    if step ~= item.step then
      item.step, item.worked_ms = step, '0'
    end
    item.state, item.reason, item.since_ms = 'available', 'null', int(now_ms)
  end,
  edited = function() end,
  removed = function() end,
}

-- The board as it stood when the present five minutes began, kept before their first change: what
-- its timeline (timeline.py) is drawn from. In five minutes without a sample nothing has changed.
local is_sampled = false
local function sample()
  if is_sampled then
    return
  end
  is_sampled = true
  local began_ms = now_ms - now_ms % request.sample_ms
  -- Asked of the stream itself: its ids must rise, also when the clock was set back.
  local last = redis.call('XREVRANGE', SAMPLES, '+', '-', 'COUNT', 1)[1]
  if last and tonumber(string.match(last[1], '^%d+')) >= began_ms then
    return
  end
  local found = { 'completions', redis.call('HGET', BOARD, 'completions') or '0' }
  for _, state in ipairs(request.states) do
    found[#found + 1] = state
    found[#found + 1] = redis.call('ZLEXCOUNT', BY_STATE, '[' .. state .. '|', '(' .. state .. '}')
  end
  redis.call('XADD', SAMPLES, 'MAXLEN', '~', request.samples, int(began_ms) .. '-0',
    unpack(found))
end

-- Bounds the log in bytes. Each time that another block is full, its last cursor becomes a mark;
-- with more blocks than the bound has room for, the log is cut at the oldest mark. An operation costs
-- one more command for it, and the log exceeds the bound by a block and a stream's node at most.
local ENTRY_BYTES = 64 -- what an entry takes beside its event
local MOST_BLOCK_BYTES = 2 * 1024 * 1024 -- cut at once: some thousand entries, whole nodes

local function bound_log(event)
  local block_bytes = math.min(math.floor(request.log_bytes / 32), MOST_BLOCK_BYTES)
  local filled_bytes = redis.call('HINCRBY', BOARD, 'log_filled_bytes', #event + ENTRY_BYTES)
  if filled_bytes < block_bytes then
    return
  end
  if not (may('RPUSH', MARKS, 'a') and may('LPOP', MARKS) and may('XTRIM', LOG, 'MAXLEN', '1')) then
    return -- the bytes stay counted, and the next event tries again
  end
  redis.call('HSET', BOARD, 'log_filled_bytes', int(filled_bytes % block_bytes))
  local marks = redis.call('RPUSH', MARKS, cursor)
  local room = math.floor(request.log_bytes / block_bytes) - 1 -- one is being filled
  local oldest
  while marks > room do
    oldest = redis.call('LPOP', MARKS)
    marks = marks - 1
  end
  if oldest then
    redis.call('XTRIM', LOG, 'MINID', '~', oldest, 'LIMIT', 0)
  end
end

local function record_event(kind, view, history)
  local previous = cursor
  local seq = int(redis.call('HINCRBY', BOARD, 'seq', 1))
  local event = '{"seq":' .. seq .. ',"type":"' .. kind .. '","board":"' .. request.board
    .. '","at":"' .. iso(now_ms) .. '","actor":' .. request.actor
    .. ',"means":"' .. request.means .. '","item":' .. view .. '}'
  cursor = redis.call('XADD', LOG, 'MAXLEN', '~', request.log_entries, '*',
    'seq', seq, 'event', event)
  redis.call('HSET', BOARD, 'cursor', cursor)
  bound_log(event)
  -- An item's events are alike in size: as many as have room in the bytes.
  local kept = math.min(request.history_entries,
    math.max(10, math.floor(request.history_bytes / (#event + ENTRY_BYTES))))
  redis.call('XADD', history, 'MAXLEN', '~', kept, '*', 'event', event)
  publish(request.channel, previous .. ' ' .. cursor .. ' ' .. seq .. ' ' .. event)
  if row.operation == 'complete' then
    redis.call('HINCRBY', BOARD, 'completions', 1)
  end
end

local function index(tag, old_state, old_holder, item)
  if old_state ~= item.state then
    if old_state then
      redis.call('ZREM', BY_STATE, old_state .. '|' .. tag)
    end
    redis.call('ZADD', BY_STATE, 0, item.state .. '|' .. tag)
  end
  if old_holder ~= item.holder_id then
    if old_holder ~= '' then
      redis.call('ZREM', BY_HOLDER, old_holder .. '|' .. tag)
    end
    if item.holder_id ~= '' then
      redis.call('ZADD', BY_HOLDER, 0, item.holder_id .. '|' .. tag)
    end
  end
end

local function remove(tag, item, item_key, history)
  redis.call('DEL', item_key)
  redis.call('HDEL', VIEW, tag)
  redis.call('ZREM', BY_TAG, tag)
  redis.call('ZREM', BY_STATE, item.state .. '|' .. tag)
  redis.call('EXPIRE', history, request.removed_history_ttl_s)
  floor_epoch = int(math.max(tonumber(floor_epoch), tonumber(item.epoch)))
  floor_version = int(math.max(tonumber(floor_version), tonumber(item.version)))
  redis.call('HSET', BOARD, 'floor_epoch', floor_epoch, 'floor_version', floor_version)
end

local function operate(position, tag)
  local pair = FIRST_PAIR - 2 + 2 * position
  local item_key, history = KEYS[pair], KEYS[pair + 1]
  local item = load(item_key)
  local is_new = false
  if request.mend_view then -- for reconciliation: only render what is
    if item then
      redis.call('HSET', VIEW, tag, render(tag, item))
    end
    return 'ok', 0, ''
  end
  if not item then
    if row.operation ~= 'put' then
      return 'item_not_found', 0, ''
    elseif request.versions then
      return 'version_mismatch', 0, '' -- RFC 9110 13.1.1: If-Match fails where nothing is
    end
    item, is_new = new_item(tag), true
  end
  local stored = {} -- what need not be written again
  if not is_new then
    for name, value in pairs(item) do
      stored[name] = value
    end
  end
  local title, attributes
  if row.operation == 'put' then
    local given = request.items[position]
    title, attributes = given.title or item.title, given.attributes or item.attributes
  end
  local view = is_new and '' or render(tag, item)
  local code = row.holder == 'to' and not request.to_id and 'worker_not_found'
    or not is_new and precondition_refusal(item) or nil
  if code then
    return code, 0, view
  end
  if not is_new and is_repeat(item, title, attributes) then
    return 'ok', 0, view
  end
  code = state_refusal(item)
  if code then
    return code, 0, view
  elseif request.dry_run then
    return is_new and 'added' or 'ok', 1, view
  end

  -- All checks are made; from here on only writes.
  sample()
  local old_state, old_holder = item.state, item.holder_id
  if old_state == 'occupied' and row.target ~= 'occupied' and row.holder ~= 'keep'
    and row.operation ~= 'release' then
    item.worked_ms = int(tonumber(item.worked_ms) + math.max(0, now_ms - tonumber(item.since_ms)))
  end
  effects[row.target](item)
  if title then
    item.title, item.attributes = title, attributes
  elseif row.operation == 'rename' then
    item.holder = request.to
  end
  if row.holder ~= 'keep' then
    item.holder_id, item.holder = next_holder[row.holder], next_holder_json[row.holder]
    item.last_operation, item.last_actor = row.operation, request.actor_id
  end
  if old_holder ~= item.holder_id then
    item.epoch = int(tonumber(item.epoch) + 1)
  end
  item.version = int(tonumber(item.version) + 1)
  view = render(tag, item)

  if row.target == 'removed' then
    record_event(row.event, view, history)
    remove(tag, item, item_key, history)
    return 'ok', 1, view
  end
  local flat = {}
  for name, value in pairs(item) do
    if stored[name] ~= value then
      flat[#flat + 1] = name
      flat[#flat + 1] = value
    end
  end
  redis.call('HSET', item_key, unpack(flat))
  redis.call('HSET', VIEW, tag, view)
  if is_new then
    redis.call('ZADD', BY_TAG, 0, tag)
    redis.call('PERSIST', history)
    index(tag, nil, '', item)
    record_event('item.added', view, history)
    return 'added', 1, view
  end
  index(tag, old_state, old_holder, item)
  record_event(row.event, view, history)
  return 'ok', 1, view
end

local results, outcomes = {}, {}
for position = 1, #ARGV - 1 do
  local code, changed, view = operate(position, ARGV[position + 1])
  outcomes[position] = code .. ',' .. changed .. ',' .. (version_of(view) or '0')
  results[#results + 1] = code
  results[#results + 1] = int(changed)
  results[#results + 1] = view
  results[#results + 1] = 'then'
end
if request.fingerprint and not request.dry_run then
  redis.call('SET', RECORD, '"' .. string.sub(request.fingerprint, 1, SHORT) .. ' ' .. cursor
    .. ' ' .. table.concat(outcomes, ' ') .. '"', 'EX', request.idempotency_ttl_s)
end
return { refused, 'ok', cursor, unpack(results) }
