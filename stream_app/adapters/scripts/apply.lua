-- One atomic write, or nothing. All checks come first; the first write is one that needs memory,
-- so a full store refuses the whole call.
-- KEYS: watermark hash, due set, outbox stream, then one key per customer.
-- ARGV: epoch, batch id, id of the batch before, topic, base, next, clock,
--       count of counters, (name, increment) each,
--       count of customers, (customer, state or '' to erase, due or '' to leave the due set) each,
--       count of messages, (id, packed message) each.
local stored = redis.call('HMGET', KEYS[1], 'epoch', 'batch', 'next:' .. ARGV[4])
local position = stored[3] or '-1'

local function answer(status)
  local due = redis.call('ZRANGE', KEYS[2], 0, 0, 'WITHSCORES')
  return {status, position, due[2] or 'inf'}
end

if stored[1] ~= ARGV[1] then return answer('FENCED') end
if stored[2] == ARGV[2] then return answer('OK_DUP') end
if stored[2] ~= ARGV[3] then return answer('MISMATCH') end
if stored[3] and stored[3] ~= ARGV[5] then return answer('MISMATCH') end

redis.call('HSET', KEYS[1], 'batch', ARGV[2], 'clock', ARGV[7])
if ARGV[5] ~= ARGV[6] then
  position = ARGV[6]
  redis.call('HSET', KEYS[1], 'next:' .. ARGV[4], position)
end

local at = 8
local function items(width, each)
  local count = tonumber(ARGV[at])
  for i = 1, count do each(i, at + 1 + (i - 1) * width) end
  at = at + 1 + count * width
end

items(2, function(_, a) redis.call('HINCRBY', KEYS[1], 'count:' .. ARGV[a], ARGV[a + 1]) end)
items(3, function(i, a)
  local key, customer, state, due = KEYS[3 + i], ARGV[a], ARGV[a + 1], ARGV[a + 2]
  if state == '' then redis.call('DEL', key) else redis.call('SET', key, state) end
  if due == '' then redis.call('ZREM', KEYS[2], customer)
  else redis.call('ZADD', KEYS[2], due, customer) end
end)
items(2, function(_, a) redis.call('XADD', KEYS[3], ARGV[a], 'm', ARGV[a + 1]) end)
return answer('OK')
