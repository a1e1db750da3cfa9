-- history_version: the version of an item that an entry of its history has.
--
-- Entries that older processes have written lack the field, and their event must be decoded.
--
-- Defines  version_of(entry), nil if the entry is damaged

local function version_of(entry)
  local is_readable, version = pcall(function()
    return entry[2][4] or string.format('%.0f', cjson.decode(entry[2][2]).item.version)
  end)
  return is_readable and version or nil
end
