-- Take ownership of a partition. KEYS: watermark hash, outbox stream. ARGV: owner.
-- The epoch never falls below the clock, so it keeps growing even after the store is rolled back.
local time = redis.call('TIME')
local epoch = tonumber(redis.call('HGET', KEYS[1], 'epoch') or '0') + 1
epoch = math.max(epoch, tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000))
redis.call('HSET', KEYS[1], 'epoch', string.format('%.0f', epoch), 'owner', ARGV[1], 'batch', '')
return {redis.call('HGETALL', KEYS[1]), redis.call('XRANGE', KEYS[2], '-', '+')}
