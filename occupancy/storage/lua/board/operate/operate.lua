-- operate/operate: carries the operation out for each tag, and records and returns the answer.
--
-- Needs  everything before it

-- Moves the tag from one part of an index to another; '' is neither.
local function move(index, tag, from, to)
  if from ~= to and from ~= '' then
    redis.call('ZREM', index, from .. '|' .. tag)
  end
  if from ~= to and to ~= '' then
    redis.call('ZADD', index, 0, to .. '|' .. tag)
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

local next_holder_json = { caller = request.actor, to = request.to, nobody = 'null' }

-- Returns  code, changed, version, view
local function operate(position, tag)
  local pair = FIRST_PAIR - 2 + 2 * position
  local item_key, history = KEYS[pair], KEYS[pair + 1]
  local item = load(item_key)
  local is_new = false
  if request.mend_view then -- for reconciliation: only render what is
    if item then
      redis.call('HSET', VIEW, tag, render(tag, item))
    end
    return 'ok', 0, '', ''
  end
  if not item then
    if not transition.added_event then
      return 'item_not_found', 0, '', ''
    elseif request.versions then
      return 'version_mismatch', 0, '', '' -- RFC 9110 13.1.1: If-Match fails where nothing is
    end
    item, is_new = new_item(tag), true
  end
  local stored = {} -- what need not be written again
  local version, view = '', ''
  if not is_new then
    for name, value in pairs(item) do
      stored[name] = value
    end
    version, view = item.version, render(tag, item)
  end
  local texts = request.items and request.items[position]
  local code = transition.holder == 'to' and not request.to_id and 'worker_not_found'
    or not is_new and precondition_refusal(item) or nil
  if code then
    return code, 0, version, view
  end
  if not is_new and is_repeat(item, texts) then
    return 'ok', 0, version, view
  end
  code = state_refusal(item)
  if code then
    return code, 0, version, view
  elseif request.dry_run then
    return is_new and 'added' or 'ok', 1, version, view
  end

  -- All checks are made; from here on only writes.
  begin_change()
  local old_state, old_holder = item.state, item.holder_id
  local old_step = not is_new and item.step or nil
  if old_state == 'occupied' and transition.counts_time then
    item.worked_ms = int(tonumber(item.worked_ms) + math.max(0, now_ms - tonumber(item.since_ms)))
  end
  effects[transition.target](item, texts)
  if transition.holder ~= 'keep' then
    item.holder_id, item.holder =
      next_holder[transition.holder], next_holder_json[transition.holder]
    item.last_operation, item.last_actor = transition.operation, request.actor_id
  end
  if old_holder ~= item.holder_id then
    item.epoch = int(math.max(tonumber(item.epoch), least) + 1)
  end
  item.version = int(math.max(tonumber(item.version), least) + 1)
  if transition.keeps_undo then
    item.undo = undo_of(stored, item.version)
  elseif item.undo then
    item.undo = ''
  end
  version, view = item.version, render(tag, item)

  if transition.target == 'removed' then
    record_event(transition.event, view, version, history)
    remove(tag, item, item_key, history)
    count_step(old_step, nil)
    return 'ok', 1, version, view
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
    old_state = ''
  end
  move(BY_STATE, tag, old_state, item.state)
  move(BY_HOLDER, tag, old_holder, item.holder_id)
  count_step(old_step, item.step)
  record_event(is_new and transition.added_event or transition.event, view, version, history)
  return is_new and 'added' or 'ok', 1, version, view
end

local results, outcomes = {}, {}
for position, tag in ipairs(tags) do
  local code, changed, version, view = operate(position, tag)
  outcomes[position] = code .. ',' .. changed .. ',' .. (version == '' and '0' or version)
  for _, each in ipairs({ code, int(changed), version, view, 'item' }) do
    results[#results + 1] = each
  end
end
if request.fingerprint and not request.dry_run then
  redis.call('SET', RECORD, '"' .. string.sub(request.fingerprint, 1, SHORT) .. ' ' .. cursor
    .. ' ' .. table.concat(outcomes, ' ') .. '"', 'EX', request.idempotency_ttl_s)
end
return { refused, 'ok', cursor, unpack(results) }
