-- pair_station: uses up a pairing link; the station gets the secret of a browser's cookie.
--
-- Until then the station is stored below the hash of the link's secret, and lets nobody in.
--
-- KEYS  1 stations
-- ARGV  1 SHA-256 of the link's secret   2 SHA-256 of the new secret
-- Returns  the station as JSON, or nil if the link is not valid
-- Publishes nothing.

local now_s = tonumber(redis.call('TIME')[1])
local station_json = redis.call('HGET', KEYS[1], ARGV[1])
if not station_json then
  return nil
end
local station = cjson.decode(station_json)
if station.paired_s or now_s >= station.link_ends_s then
  return nil
end
station.paired_s = now_s
station_json = cjson.encode(station)
redis.call('HSET', KEYS[1], ARGV[2], station_json)
redis.call('HDEL', KEYS[1], ARGV[1])
return station_json
