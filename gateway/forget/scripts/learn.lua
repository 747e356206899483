-- What the worker found out about a subject becomes part of the guard; where nothing is erased its work ends there.
-- ARGV: id, token, sealed knowledge
local id = ARGV[1]
if not holds(id, ARGV[2]) or not is_enforced(id) then
  return {'stale'}
end
redis.call('HSET', record(id), 'knowledge', ARGV[3])
redis.call('HDEL', record(id), 'heard')
if not erases(id) then
  end_attempt(id)
  needs_no_work(id)
end
touch(id)
return {'ok', advance_policy(id, 'knowledge')}
