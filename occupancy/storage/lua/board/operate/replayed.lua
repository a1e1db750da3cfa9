-- operate/replayed: the answer to a request whose Idempotency-Key was used before.
--
-- A record is `"fingerprint cursor code,changed,version code,changed,version …"`, some 60 bytes for
-- one tag. The item of the answer is looked up in its history, which has each version once. To older
-- processes, whose records are objects, that string is another request's record: they refuse the key.
--
-- Needs  request, version_of()
-- Defines  SHORT
-- Ends the script with replayed or idempotency_key_reused.

local SHORT = 16 -- hex digits of the fingerprint: 64 bits, enough for one worker's keys on a board

-- Version, text and kind of the item at that version, or of its newest version that is kept.
local function recall(position, version, at_cursor)
  if version == '0' then
    return '', '', 'item' -- the answer had no item
  end
  local pair = FIRST_PAIR - 2 + 2 * position
  local present = redis.call('HGET', KEYS[pair], 'version')
  local view = present and redis.call('HGET', VIEW, tags[position])
  if view and present == version then
    return version, view, 'item'
  end
  local history = KEYS[pair + 1]
  -- An event's entry in the history is moments younger than the one in the log. The range may also
  -- have changes of the next second, and those after the clock was set back. Where the server hung
  -- within the script, the entry may be much younger: Redis 7.0 reads the clock anew for XADD '*'
  -- (measured). Then it is looked for from the end.
  local until_ms = int(tonumber(string.match(at_cursor, '^%d+')) + 1000)
  for _, last in ipairs({ until_ms, '+' }) do
    for _, entry in ipairs(redis.call('XREVRANGE', history, last, '-', 'COUNT', 50)) do
      if version_of(entry) == version then
        return version, entry[2][2], 'event'
      end
    end
  end
  if view then
    return present, view, 'newest_item'
  end
  local newest = redis.call('XREVRANGE', history, '+', '-', 'COUNT', 1)[1]
  if newest and version_of(newest) then
    return version_of(newest), newest[2][2], 'newest_event'
  end
  return '', '', 'newest_item'
end

local function replayed(record)
  local reply = { 0, 'replayed' }
  local function add(outcome)
    for _, each in ipairs(outcome) do
      reply[#reply + 1] = each
    end
  end
  if string.sub(record, 1, 1) == '{' then -- of a version that kept whole replies
    local first = cjson.decode(record)
    if first.fingerprint ~= request.fingerprint then
      return { 0, 'idempotency_key_reused' }
    end
    reply[3] = first.reply[2]
    for index = 3, #first.reply, 3 do
      local code, changed, view = unpack(first.reply, index, index + 2)
      add({ code, changed, view ~= '' and int(cjson.decode(view).version) or '', view, 'item' })
    end
    return reply
  end
  local fingerprint, at_cursor, outcomes = string.match(record, '^"(.*) (%d+%-%d+) ([%l_,%d ]*)"$')
  if fingerprint ~= string.sub(request.fingerprint, 1, SHORT) then
    return { 0, 'idempotency_key_reused' }
  end
  reply[3] = at_cursor
  for code, changed, version in string.gmatch(outcomes, '([%l_]+),([01]),(%d+)') do
    local found, text, kind = recall((#reply + 2) / 5, version, at_cursor)
    if text == '' and version ~= '0' then
      code, changed = 'item_not_found', '0' -- the item and its history are gone
    end
    add({ code, changed, found, text, kind })
  end
  return reply
end

if request.fingerprint then
  local record = redis.call('GET', RECORD)
  if record then
    return replayed(record)
  end
end
