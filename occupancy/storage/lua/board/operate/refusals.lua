-- operate/refusals: what refuses an operation on an item, or shows that it is a repeat. Reads only.
--
-- Needs  request, transition, steps, max_holds, index_of(), now_ms, undo_parts()
-- Defines  next_holder, is_repeat(), precondition_refusal(), state_refusal()

local next_holder = { caller = request.actor_id, to = request.to_id, nobody = '' }

local function holds_of(worker)
  return redis.call('ZLEXCOUNT', BY_HOLDER, '[' .. worker .. '|', '(' .. worker .. '}')
end

-- By target: whether its effect already stands for this caller.
local repeats = {
  occupied = function(item)
    return item.state == 'occupied' and item.holder_id == next_holder[transition.holder]
  end,
  edited = function(item, texts)
    return item.title == (texts.title or item.title)
      and item.attributes == (texts.attributes or item.attributes)
  end,
  renamed = function(item)
    return item.holder_id ~= request.to_id or item.holder == request.to
  end,
}

local function is_repeat(item, texts)
  local stands = repeats[transition.target]
  if stands then
    return stands(item, texts)
  end
  return item.last_operation == transition.operation and item.last_actor == request.actor_id
    and (not request.step or request.step == item.step)
end

-- The refusal's code if a precondition fails, or nil.
local function precondition_refusal(item)
  if request.must_be_new then
    return 'exists' -- RFC 9110 13.1.2: If-None-Match: *
  elseif request.versions and request.versions[1] ~= '*'
    and not index_of(request.versions, item.version) then
    return 'version_mismatch'
  elseif request.epoch and request.epoch ~= item.epoch then
    return 'stale_epoch'
  end
  return nil
end

-- By target: the code of a refusal of its own, or nil.
local conditions = {
  undone = function(item)
    local since_ms, _, step = undo_parts(item)
    if not since_ms or not index_of(steps, step) then
      return 'undo_touched'
    elseif item.last_actor ~= request.actor_id then
      return 'undo_others'
    elseif now_ms - tonumber(item.since_ms) > 1000 * transition.within_s then
      return 'undo_late'
    end
    return nil
  end,
}

-- The refusal's code if the item's state, its holder or a limit forbids it, or nil.
local function state_refusal(item)
  if not index_of(transition.sources, item.state) then
    if item.state == 'occupied' and transition.needs_free then
      return 'held'
    end
    return item.state == 'blocked' and 'blocked' or 'wrong_state'
  elseif transition.holder_only and item.holder_id ~= request.actor_id then
    return 'not_holder'
  elseif request.step and not index_of(steps, request.step) then
    return 'unknown_step'
  elseif transition.is_step_earlier
    and index_of(steps, request.step) >= (index_of(steps, item.step) or #steps + 1) then
    return 'not_earlier'
  end
  local code = conditions[transition.target] and conditions[transition.target](item)
  if code then
    return code
  end
  local holder = next_holder[transition.holder]
  if holder and holder ~= '' and max_holds > 0 and holds_of(holder) >= max_holds then
    return 'limit_reached'
  end
  return nil
end
