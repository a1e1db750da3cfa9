-- use_ticket: lets the first who shows a ticket in, and later only the same one again.
--
-- KEYS  1 the ticket: "means digest", and once it is used " address board" behind that
-- ARGV  1 "address board" of who shows it   2 seconds that it is good for from now on
-- Returns  the ticket, or nil where it is not good (any more, for this one)
-- Publishes nothing.

local ticket = redis.call('GET', KEYS[1])
if not ticket then
  return nil
end
local whose, bound_to = string.match(ticket, '^(%S+ %S+) ?(.*)$')
if bound_to ~= '' and bound_to ~= ARGV[1] then
  return nil
end
redis.call('SET', KEYS[1], whose .. ' ' .. ARGV[1], 'EX', ARGV[2])
return ticket
