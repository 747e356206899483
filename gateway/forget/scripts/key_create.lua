-- A new API key becomes known to every replica.
-- ARGV: id, then the fields of the key and their values
-- Returns: whether it is new
local id = ARGV[1]
if redis.call('SADD', key('keys'), id) == 0 then
  return 0
end
redis.call('HSET', key('key', id), 'created', now, unpack(ARGV, 2))
advance_policy('', 'keys')
audit('key_created', '', '', '', id, '')
return 1
