-- use_ticket: binds a ticket to the address and board of its first use, and checks them later.
--
-- KEYS  1 the ticket: "method digest"; after its first use " address board" follows
-- ARGV  1 "address board" of this use   2 seconds that it is valid from now on
-- Returns  the ticket; nil if it has expired or is bound to another address or board
-- Publishes nothing.

local ticket = redis.call('GET', KEYS[1])
if not ticket then
  return nil
end
local credential, bound_to = string.match(ticket, '^(%S+ %S+) ?(.*)$')
if bound_to ~= '' and bound_to ~= ARGV[1] then
  return nil
end
redis.call('SET', KEYS[1], credential .. ' ' .. ARGV[1], 'EX', ARGV[2])
return ticket
