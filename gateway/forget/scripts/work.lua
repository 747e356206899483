-- Requests that need a worker and have none at them.
-- Returns: {id, state} pairs
local reply, present = {}, clock()
for _, id in ipairs(redis.call('SMEMBERS', key('work'))) do
  if tonumber(get(id, 'lease') or '0') <= present then
    reply[#reply + 1] = {id, get(id, 'state')}
  end
end
return reply
