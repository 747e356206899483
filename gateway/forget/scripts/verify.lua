-- The adapter is there, its verification begins: erasing becomes verifying.
-- ARGV: id, token
local id = ARGV[1]
if not holds(id, ARGV[2]) then
  return {'stale'}
end
local state = get(id, 'state')
if state ~= 'verifying' and not move(id, 'verifying', '') then
  return {'illegal', state}
end
return {'ok'}
