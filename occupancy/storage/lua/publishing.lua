-- publishing: begins each script that publishes (see PublishingScript in scripts.py).
--
-- A publication that the server refuses, for lack of rights, must not end a script that has written
-- already. It is counted, and nothing is lost: live delivery reads the log, and processes compare
-- the number of changes of access.
--
-- Needs  PUBLISH
-- Defines  publish(channel, message)
--          refused  publications that the server has refused so far

local refused = 0
local function publish(channel, message)
  local answer = redis.pcall(PUBLISH, channel, message)
  if type(answer) == 'table' and answer.err then
    refused = refused + 1
  end
end
