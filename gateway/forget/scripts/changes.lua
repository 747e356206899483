-- Everything that changed since a mark, in its present form; the whole list where the log cannot tell.
-- ARGV: version, chain at it (version -1: from nothing)
-- Returns: continuity, version, chain, composite (flat), then per request {id, enforced flag, state, response, sealed
-- subject, sealed knowledge}
local since, chain_since = tonumber(ARGV[1]), ARGV[2]
local version, chain = head()
local known = since >= 0 and since <= version and chain_at(since)
local continuity = 'full'
if since == version and known == chain_since then
  continuity = 'same'
elseif since > version or (known and known ~= chain_since) then
  continuity = 'diverged'
elseif known then
  continuity = 'delta'
end

local ids = {}
if continuity == 'delta' then
  local seen = {}
  for _, entry in ipairs(redis.call('XRANGE', key('log'), (since + 1) .. '-0', '+')) do
    local id = entry[2][2]
    if not seen[id] then
      seen[id] = true
      ids[#ids + 1] = id
    end
  end
elseif continuity ~= 'same' then
  ids = redis.call('SMEMBERS', key('enforced'))
end

local reply = {continuity, version, chain, redis.call('HGETALL', key('composite'))}
for _, id in ipairs(ids) do
  if is_enforced(id) then
    reply[#reply + 1] = {id, 1, unpack(redis.call('HMGET', record(id), 'state', 'response', 'subject', 'knowledge'))}
  else
    reply[#reply + 1] = {id, 0}
  end
end
return reply
