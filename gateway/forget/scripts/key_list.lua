-- Returns: {id, fields of the key (flat), when it was last used or false} of every API key
local reply = {}
for _, id in ipairs(redis.call('SMEMBERS', key('keys'))) do
  reply[#reply + 1] = {id, redis.call('HGETALL', key('key', id)), redis.call('HGET', key('keys', 'used'), id)}
end
return reply
