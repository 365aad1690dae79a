-- Peer of rate_take in Redis: GCRA, one key per store. KEYS[1]: the store, ARGV: interval and capacity in us.
local now = redis.call('TIME')
local at = now[1] * 1000000 + now[2]
local tat = tonumber(redis.call('GET', KEYS[1]) or 0)
local interval = tonumber(ARGV[1])
if tat + interval - tonumber(ARGV[2]) > at then
	return tat + interval - tonumber(ARGV[2]) - at
end
redis.call('SET', KEYS[1], string.format('%.0f', math.max(tat, at) + interval), 'PX', 60000)
return 0
