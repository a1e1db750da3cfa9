-- operate/record: what a change leaves on the board: sample, event, publication. Writes only.
--
-- Needs  request, transition, counts_steps, cursor, incarnation, is_promoted, may(), int(), iso(), now_ms,
--        next_cursor(), promote(), publish()
-- Defines  begin_change(), record_event(), which move cursor; count_step()

-- The board as the present five minutes began, kept before their first change; see timeline.py.
local function sample()
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
  redis.call('XADD', SAMPLES, 'MAXLEN', '~', request.samples, int(began_ms) .. '-0', unpack(found))
end

-- Before the first change of this script.
local has_begun = false
local function begin_change()
  if has_begun then
    return
  end
  has_begun = true
  sample()
  if is_promoted then
    cursor = promote(BOARD, LOG, int(incarnation), cursor, now_ms, request.nonce)
  end
end

-- Bounds the log in bytes. The last cursor of each full block becomes a mark; with more blocks than
-- fit, the log is cut at the oldest. It exceeds the bound by a block and a stream's node at most.
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

-- The entry gets an id of ours; the server's, if by damage the log goes further than the board says.
local function add_entry(seq, event)
  local id = next_cursor(cursor, now_ms, request.nonce)
  local added = redis.pcall('XADD', LOG, 'MAXLEN', '~', request.log_entries, id,
    'seq', seq, 'event', event)
  if type(added) == 'table' then
    return redis.call('XADD', LOG, 'MAXLEN', '~', request.log_entries, '*',
      'seq', seq, 'event', event)
  end
  return added
end

local function record_event(kind, view, version, history)
  local previous = cursor
  local seq = int(redis.call('HINCRBY', BOARD, 'seq', 1))
  local event = '{"seq":' .. seq .. ',"type":"' .. kind .. '","board":"' .. request.board
    .. '","at":"' .. iso(now_ms) .. '","actor":' .. request.actor
    .. ',"means":"' .. request.auth_method .. '","item":' .. view .. '}'
  cursor = add_entry(seq, event)
  redis.call('HSET', BOARD, 'cursor', cursor)
  bound_log(event)
  -- An item's events are alike in size: as many as have room in the bytes.
  local kept = math.min(request.history_entries,
    math.max(10, math.floor(request.history_bytes / (#event + ENTRY_BYTES))))
  redis.call('XADD', history, 'MAXLEN', '~', kept, '*', 'event', event, 'version', version)
  publish(request.channel, previous .. ' ' .. cursor .. ' ' .. seq .. ' ' .. event)
  if transition.completions then
    redis.call('HINCRBY', BOARD, 'completions', int(transition.completions))
  end
end

-- An item has moved from a step to another; nil where it was not on the board, or is not any more. A
-- count that somebody has damaged must not end the script here: reconciliation mends it.
local function count_step(from, to)
  if not counts_steps or from == to then
    return
  end
  if from then
    redis.pcall('HINCRBY', BOARD, 'at:' .. from, -1)
  end
  if to then
    redis.pcall('HINCRBY', BOARD, 'at:' .. to, 1)
  end
end
