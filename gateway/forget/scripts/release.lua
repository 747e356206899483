-- A worker gives up an attempt; the next may begin after a pause.
-- ARGV: id, token, pause in ms
local id = ARGV[1]
if not holds(id, ARGV[2]) then
  return {'stale'}
end
end_attempt(id)
redis.call('HSET', record(id), 'lease', tick() + tonumber(ARGV[3]))
return {'ok'}
