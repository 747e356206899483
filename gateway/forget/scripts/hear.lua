-- What a gateway's own model knows of a subject; the worker, who asks the same, may come much later.
-- ARGV: id, sealed knowledge or '' (none), whether that is all (1) or more will be asked (0)
-- Returns: whether it is wanted
local id = ARGV[1]
if not is_enforced(id) or not lacks_knowledge(id) then
  return 0
end
if ARGV[3] == '1' then
  redis.call('HSET', record(id), 'heard_all', 1)
end
if ARGV[2] ~= '' then
  redis.call('HSET', record(id), 'heard', ARGV[2])
  touch(id)
  advance_policy(id, 'heard')
end
return 1
