-- A failed request goes back to guarded: its guard was never off, and its job may start again.
-- ARGV: id, expected revisions or ''
local id = ARGV[1]
local refused = refusal(id, ARGV[2])
if refused then
  return refused
end
local state = get(id, 'state')
if state ~= 'failed' or not move(id, 'guarded', '') then
  return {'illegal', state}
end
redis.call('HSET', record(id), 'attempt', 0)
redis.call('HDEL', record(id), 'begun')
return {'ok'}
