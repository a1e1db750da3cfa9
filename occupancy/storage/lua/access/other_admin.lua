-- other_admin: whether an active administrator is left without a worker.
--
-- Needs  KEYS[1], the workers; ARGV[2], that worker as it was read
-- Defines  is_other_admin_left()

local function is_other_admin(stored)
  if stored == ARGV[2] or not stored:find('admin', 1, true) then
    return false -- nearly all, and decoding thousands takes long
  end
  local worker = cjson.decode(stored)
  return worker.role == 'admin' and not worker.disabled
end

local function is_other_admin_left()
  for _, stored in ipairs(redis.call('HVALS', KEYS[1])) do
    if is_other_admin(stored) then
      return true
    end
  end
  return false
end
