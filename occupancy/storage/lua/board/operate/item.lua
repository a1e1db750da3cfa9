-- operate/item: an item as it is stored, and its JSON, which is known here only.
--
-- Stored fields: `prior` and `prior_reason` are the state that release and unblock restore, and its
-- reason; `last_operation` and `last_actor` tell whether an operation is repeated; `undo` is what the
-- item was before a completion, `version|since_ms|worked_ms|step|reason`, with the version that the
-- completion made. It is worth nothing once the version is another, also where an older process has
-- changed the item and left it. Every other change empties it.
--
-- Needs  steps, floor_epoch, floor_version, int(), iso(), now_ms
-- Defines  load(), render(), new_item(), undo_of(), undo_parts()

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

-- What undo needs: `before` is the item before the change that has made `version`.
local function undo_of(before, version)
  return version .. '|' .. before.since_ms .. '|' .. before.worked_ms .. '|' .. before.step
    .. '|' .. before.reason -- no step has a |
end

-- Returns  since_ms, worked_ms, step, reason; nil if nothing can be undone
local function undo_parts(item)
  local version, since_ms, worked_ms, step, reason =
    string.match(item.undo or '', '^(%d+)|(%d+)|(%d+)|([^|]*)|(.*)$')
  if version ~= item.version then
    return nil
  end
  return since_ms, worked_ms, step, reason
end
