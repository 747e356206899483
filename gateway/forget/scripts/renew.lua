-- A worker is alive, and possibly further.
-- ARGV: id, token, lease in ms, stage or '', fraction
local id, stage, fraction = ARGV[1], ARGV[4], ARGV[5]
if not holds(id, ARGV[2]) then
  return {'stale'}
end
redis.call('HSET', record(id), 'lease', tick() + tonumber(ARGV[3]))
if stage ~= '' then
  redis.call('HSET', record(id), 'stage', stage, 'fraction', fraction)
  announce(id, 'event', 'progress', 'state', get(id, 'state'), 'stage', stage, 'fraction', fraction)
end
return {'ok'}
