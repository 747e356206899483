-- The weights forget what came as evidence: it is needed whenever they are trained anew, so it is not purged.
-- ARGV: id, token
local id = ARGV[1]
if not holds(id, ARGV[2]) then
  return {'stale'}
end
redis.call('ZREM', key('training'), get(id, 'member'))
return {'ok'}
