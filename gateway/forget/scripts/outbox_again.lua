-- Callbacks that were given up are tried again.
-- Returns: how many
local names = redis.call('ZRANGE', key('outbox_dead'), 0, -1)
for _, name in ipairs(names) do
  redis.call('ZADD', key('outbox'), clock(), name)
  redis.call('HDEL', key('outbox_attempts'), name)
end
redis.call('DEL', key('outbox_dead'), key('outbox_reasons'))
audit('callbacks_retried', '', '', '', tostring(#names), '')
return #names
