-- Store a snapshot if it is exactly the next one. KEYS: latest version, history hash.
-- ARGV: version, JSON.
local latest = tonumber(redis.call('GET', KEYS[1]) or '0')
if tonumber(ARGV[1]) ~= latest + 1 then return 0 end
redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
redis.call('SET', KEYS[1], ARGV[1])
return 1
