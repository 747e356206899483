-- Requests that need a worker and have none at them, some at a time.
-- ARGV: cursor ('0': from the start), about how many to look at
-- Returns: cursor of the next ones ('0': that was all), then {id, state} pairs
local found, present = redis.call('SSCAN', key('work'), ARGV[1], 'COUNT', ARGV[2]), clock()
local reply = {found[1]}
for _, id in ipairs(found[2]) do
  if tonumber(get(id, 'lease') or '0') <= present then
    reply[#reply + 1] = {id, get(id, 'state')}
  end
end
return reply
