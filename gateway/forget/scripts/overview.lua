-- Version and counts, cheap enough to ask every second.
-- ARGV: states
-- Returns: version, number of enforced requests, work waiting, then the count of each state
local reply = {(head()), redis.call('SCARD', key('enforced')), redis.call('SCARD', key('work'))}
for _, state in ipairs(ARGV) do
  reply[#reply + 1] = redis.call('ZCARD', key('state', state))
end
return reply
