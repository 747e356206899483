-- A callback arrived, or has to be tried again, or is given up until somebody asks for it.
-- ARGV: name, what went wrong or '', pause in ms, most attempts
local DEAD_LETTERS = 10000
local name, reason = ARGV[1], ARGV[2]
local attempts = redis.call('HINCRBY', key('outbox_attempts'), name, 1)
if reason ~= '' and attempts < tonumber(ARGV[4]) then
  redis.call('ZADD', key('outbox'), 'XX', clock() + tonumber(ARGV[3]), name)
  return 0
end
redis.call('ZREM', key('outbox'), name)
if reason == '' then
  redis.call('HDEL', key('outbox_attempts'), name)
  return 1
end
redis.call('ZADD', key('outbox_dead'), now, name)
redis.call('HSET', key('outbox_reasons'), name, reason)
for _, oldest in ipairs(redis.call('ZRANGE', key('outbox_dead'), 0, -1 - DEAD_LETTERS)) do
  redis.call('ZREM', key('outbox_dead'), oldest)
  redis.call('HDEL', key('outbox_reasons'), oldest)
  redis.call('HDEL', key('outbox_attempts'), oldest)
end
return 0
