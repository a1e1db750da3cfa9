-- other_admin: whether there is an active administrator besides one. A piece of replace_worker and remove_worker.

local function is_active_admin(stored)
  if not stored:find('admin', 1, true) then
    return false -- nearly all, and decoding thousands takes long
  end
  local worker = cjson.decode(stored)
  return worker.role == 'admin' and not worker.disabled
end

-- `workers` is the key of the workers, `one` an administrator as stored.
local function has_other_admin(workers, one)
  for _, stored in ipairs(redis.call('HVALS', workers)) do
    if stored ~= one and is_active_admin(stored) then
      return true
    end
  end
  return false
end

