-- A gateway is about to ask its model about a subject: for a while no other does.
-- ARGV: id, which gateway, for how long in ms
-- Returns: whether it may: the subject is guarded, nobody is at it and nobody was
local id, claim = ARGV[1], key('asker', ARGV[1])
if not is_enforced(id) or not lacks_knowledge(id) or get(id, 'heard_all') then
  return 0
end
local asker = redis.call('GET', claim)
if asker and asker ~= ARGV[2] then
  return 0
end
redis.call('SET', claim, ARGV[2], 'PX', ARGV[3])
return 1
