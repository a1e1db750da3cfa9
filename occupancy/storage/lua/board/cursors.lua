-- cursors: the ids of a log's entries, which never come again with another content.
--
-- A failover may lose the last entries of a log, and the new primary's clock may be behind: a cursor
-- made of the time and a counter would then name another entry than the one that somebody has seen.
-- So the second half of a cursor is random, 48 bits from the caller (Lua's generator begins alike in
-- each script). Within a millisecond, and after the clock was set back, it rises by 32 random bits.
--
-- Defines  next_cursor()

-- The cursor after `last`, at now_ms with the caller's nonce, which is text. Both halves stay below
-- 2^53, the last whole number that Lua counts exactly.
local function next_cursor(last, now_ms, nonce)
  local last_ms, last_number = string.match(last, '^(%d+)-(%d+)$')
  last_ms = tonumber(last_ms) or 0 -- damaged: as if none
  if now_ms > last_ms then
    return string.format('%.0f-%s', now_ms, nonce)
  end
  local number = tonumber(last_number) + 1 + tonumber(nonce) % 2 ^ 32
  if number < 2 ^ 53 then
    return string.format('%.0f-%.0f', last_ms, number)
  end
  return string.format('%.0f-%s', last_ms + 1, nonce)
end
