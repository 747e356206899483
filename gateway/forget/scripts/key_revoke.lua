-- An API key is good no more. It stays listed.
-- ARGV: id
-- Returns: whether there is such a key
local id = ARGV[1]
if redis.call('SISMEMBER', key('keys'), id) == 0 then
  return 0
end
if redis.call('HSETNX', key('key', id), 'revoked', now) == 1 then
  advance_policy('', 'keys')
  audit('key_revoked', '', '', '', id, '')
end
return 1
