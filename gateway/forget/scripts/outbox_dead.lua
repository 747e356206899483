-- ARGV: most of them
-- Returns: callbacks under way, callbacks given up, then {name, when, attempts, reason}, the latest first
local reply = {redis.call('ZCARD', key('outbox')), redis.call('ZCARD', key('outbox_dead'))}
local dead = redis.call('ZREVRANGE', key('outbox_dead'), 0, tonumber(ARGV[1]) - 1, 'WITHSCORES')
for at = 1, #dead, 2 do
  local name = dead[at]
  reply[#reply + 1] = {
    name, dead[at + 1], redis.call('HGET', key('outbox_attempts'), name), redis.call('HGET', key('outbox_reasons'), name),
  }
end
return reply
