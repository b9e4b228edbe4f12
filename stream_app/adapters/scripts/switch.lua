-- Let another generation of customers serve, if nobody has written to the former one meanwhile.
-- KEYS: generation in service, then the former one's watermark hashes.
-- ARGV: former generation, new generation, then the epoch that each watermark must still have.
if (redis.call('GET', KEYS[1]) or '1') ~= ARGV[1] then return 'MOVED' end
for i = 2, #KEYS do
  if redis.call('HGET', KEYS[i], 'epoch') ~= ARGV[i + 1] then return 'BUSY' end
end
redis.call('SET', KEYS[1], ARGV[2])
return 'OK'
