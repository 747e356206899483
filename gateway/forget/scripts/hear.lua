-- By which other names the served model knows a subject; the worker, who asks for more, may come much later.
-- ARGV: id, sealed names
-- Returns: whether they are part of the guard now
local id = ARGV[1]
if not is_enforced(id) or not lacks_knowledge(id) then
  return 0
end
redis.call('HSET', record(id), 'heard', ARGV[2])
touch(id)
advance_policy(id, 'heard')
return 1
