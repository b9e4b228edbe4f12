-- Store a snapshot if it is exactly the next one. KEYS: latest version, history hash, names hash.
-- ARGV: version, JSON; and, to replace the user's names, their count and (segment id, name) each.
local latest = tonumber(redis.call('GET', KEYS[1]) or '0')
if tonumber(ARGV[1]) ~= latest + 1 then return 0 end
redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
redis.call('SET', KEYS[1], ARGV[1])
if ARGV[3] then
  redis.call('DEL', KEYS[3])
  for i = 4, #ARGV, 2 do redis.call('HSET', KEYS[3], ARGV[i], ARGV[i + 1]) end
end
return 1
