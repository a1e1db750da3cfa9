-- settings/step_counts: how many items stand at each step, in fields of the board named `at:STEP`.
--
-- Each change that moves an item keeps them (operate/record.lua, count_step), so the last field is
-- read and written in the step of the item itself. `steps_counted` says that they are kept: boards of
-- earlier versions lack it until their items are counted here. A completed item stands at the step at
-- which it was completed.
--
-- Defines  counted(view), from the items' JSON: step → how many

-- No title can contain the text that is matched: inside a JSON string each quote has a backslash
-- before it. What follows the step, such as attributes, is not reached: the first match counts.
local function counted(view)
  local counts = {}
  local flat = redis.call('HGETALL', view)
  for index = 2, #flat, 2 do
    local step = string.match(flat[index], '","step":"([^"]*)","holder":')
    if step then
      counts[step] = (counts[step] or 0) + 1
    end
  end
  return counts
end
