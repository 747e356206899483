-- A page of the audit log.
-- ARGV: sequence number after which to begin, limit, id of a request whose entries alone are wanted, or ''
-- Returns: whether there are more (1 or 0), entries
local after, limit, id = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3]
local entries = {}
if id == '' then
  for _, found in ipairs(redis.call('XRANGE', key('audit'), string.format('%.0f-0', after + 1), '+', 'COUNT', limit + 1)) do
    entries[#entries + 1] = found[2][2]
  end
else
  for _, sequence in ipairs(redis.call('ZRANGEBYSCORE', key('audit', id), after + 1, '+inf', 'LIMIT', 0, limit + 1)) do
    entries[#entries + 1] = redis.call('XRANGE', key('audit'), sequence .. '-0', sequence .. '-0')[1][2][2]
  end
end
local more = #entries > limit
if more then
  entries[#entries] = nil
end
return {more and 1 or 0, unpack(entries)}
