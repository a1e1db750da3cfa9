-- audit: whether some items, their entries in the indexes and their history agree; may mend them.
--
-- The item's own hash is the truth: what the indexes and the view say otherwise is mended from
-- it. Nothing is published, because nothing that happened has changed.
--
-- KEYS  1 board   2 view   3 by_tag   4 by_state   5 by_holder
--       6, 7 … item and history of each tag, in pairs
-- ARGV  1 "1" to mend   2 the states, comma-separated
--       3 … the tags; WORKER|TAG asks besides whether that member of by_holder is right
-- Returns  {tag, problem, tag, problem …}; problem: by_tag, by_state, by_holder, view, history
-- Publishes nothing.
-- Needs  version_of() of history_version.lua

local _, VIEW, BY_TAG, BY_STATE, BY_HOLDER = unpack(KEYS, 1, 5)
local mend = ARGV[1] == '1'
local found = {}

local function report(tag, problem)
  found[#found + 1] = tag
  found[#found + 1] = problem
end

-- Whether the sorted set holds the member exactly when it should.
local function check(tag, problem, key, member, expected)
  local is_there = redis.call('ZSCORE', key, member) and true or false
  if is_there == expected then
    return
  end
  report(tag, problem)
  if mend then
    redis.call(expected and 'ZADD' or 'ZREM', key, unpack(expected and { 0, member } or { member }))
  end
end

-- Whether the view is that of the item, as far as its state and its counters tell.
local function is_current(view, state, epoch, version)
  local is_json, item = pcall(cjson.decode, view)
  return is_json and type(item) == 'table' and item.state == state
    and item.epoch == tonumber(epoch) and item.version == tonumber(version)
end

for position = 1, #ARGV - 2 do
  local claimed, tag = string.match(ARGV[position + 2], '^(.*)|(.*)$')
  tag = tag or ARGV[position + 2]
  local item_key, history = KEYS[4 + 2 * position], KEYS[5 + 2 * position]
  local state, holder, epoch, version = unpack(
    redis.call('HMGET', item_key, 'state', 'holder_id', 'epoch', 'version'))
  check(tag, 'by_tag', BY_TAG, tag, state and true or false)
  for each in string.gmatch(ARGV[2], '[^,]+') do
    check(tag, 'by_state', BY_STATE, each .. '|' .. tag, state == each)
  end
  if holder and holder ~= '' then
    check(tag, 'by_holder', BY_HOLDER, holder .. '|' .. tag, state == 'occupied')
  end
  if claimed and claimed ~= holder then
    check(tag, 'by_holder', BY_HOLDER, claimed .. '|' .. tag, false)
  end
  local view = redis.call('HGET', VIEW, tag)
  if state then
    if not view or not is_current(view, state, epoch, version) then
      report(tag, 'view') -- the caller has it mended: operate/item.lua can render it
    end
    local last = redis.call('XREVRANGE', history, '+', '-', 'COUNT', 1)[1]
    if not last or version_of(last) ~= version then
      report(tag, 'history')
    end
  elseif view then
    report(tag, 'view')
    if mend then
      redis.call('HDEL', VIEW, tag)
    end
  end
end
return found
