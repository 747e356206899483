-- The erasure of a request failed; the guard stays.
-- ARGV: id, token, reason, verification or ''
local id = ARGV[1]
if not holds(id, ARGV[2]) then
  return {'stale'}
end
local state = get(id, 'state')
if not LEGAL[state]['failed'] then
  return {'illegal', state}
end
if ARGV[4] ~= '' then
  redis.call('HSET', record(id), 'verification', ARGV[4])
end
end_attempt(id)
move(id, 'failed', ARGV[3])
return {'ok'}
