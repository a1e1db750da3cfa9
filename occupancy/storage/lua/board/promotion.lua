-- promotion: what a board keeps of the incarnation of the server that has it.
--
-- The incarnation is the failover epoch of the server (see topology/shard.py); it rises when a replica
-- becomes the primary. Writes of the old primary may be lost then, although somebody has seen them. So
-- the first script under a higher incarnation puts a *mark* into the log: an entry without seq and
-- event. Each stream at a cursor before the newest mark is reset, also one whose page has applied an
-- answer of which no event is left.
--
-- Needs  next_cursor()
-- Defines  promote()

-- Writes only, by XADD and HSET. Returns the cursor of the mark.
local function promote(board, log, incarnation, cursor, now_ms, nonce)
  local mark = next_cursor(cursor, now_ms, nonce)
  local added = redis.pcall('XADD', log, mark, 'promotion', incarnation)
  if type(added) == 'table' and added.err then -- the log goes further than the board says
    mark = redis.call('XADD', log, '*', 'promotion', incarnation)
  end
  redis.call('HSET', board, 'cursor', mark, 'incarnation', incarnation, 'promoted', mark)
  return mark
end
