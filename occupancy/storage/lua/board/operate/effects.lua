-- operate/effects: what an operation does to an item, without holder, epoch and version.
--
-- Needs  request, steps, index_of(), int(), now_ms, undo_parts()
-- Defines  effects: by target, a function of the item and the texts of a put

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
    local following = steps[(index_of(steps, item.step) or #steps) + 1]
    item.state = following and 'available' or 'completed'
    if following then
      item.step, item.worked_ms = following, '0'
    end
    item.reason, item.since_ms = 'null', int(now_ms)
  end,
  undone = function(item) -- prior and prior_reason are still those of the take
    item.since_ms, item.worked_ms, item.step, item.reason = undo_parts(item)
    item.state = 'occupied'
  end,
  available = function(item)
    local step = request.step or steps[#steps]
    if step ~= item.step then
      item.step, item.worked_ms = step, '0'
    end
    item.state, item.reason, item.since_ms = 'available', 'null', int(now_ms)
  end,
  sent_back = function(item)
    item.step, item.worked_ms = request.step, '0'
    item.state, item.reason, item.since_ms = 'available', request.reason, int(now_ms)
  end,
  edited = function(item, texts)
    item.title, item.attributes = texts.title or item.title, texts.attributes or item.attributes
  end,
  renamed = function(item)
    item.holder = request.to
  end,
  removed = function() end,
}
