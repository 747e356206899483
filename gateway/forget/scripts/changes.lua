-- Everything that changed since a mark, in its present form; the whole list where the log cannot tell.
-- ARGV: version, chain at it (version -1: from nothing)
-- Returns: continuity, version, chain, composite (flat), API keys as {id, fields (flat)} or false if they are the same,
-- then per request {id, enforced flag, state, response, and sealed: subject, phrases as given, knowledge as
-- heard, knowledge}
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

local ids, keys_changed = {}, continuity == 'full' or continuity == 'diverged'
if continuity == 'delta' then
  local seen = {}
  for _, entry in ipairs(redis.call('XRANGE', key('log'), (since + 1) .. '-0', '+')) do
    local id = entry[2][2]
    if entry[2][4] == 'keys' then
      keys_changed = true
    elseif not seen[id] then
      seen[id] = true
      ids[#ids + 1] = id
    end
  end
elseif continuity ~= 'same' then
  ids = redis.call('SMEMBERS', key('enforced'))
end

local keys = keys_changed and {}
if keys then
  for _, id in ipairs(redis.call('SMEMBERS', key('keys'))) do
    keys[#keys + 1] = {id, redis.call('HGETALL', key('key', id))}
  end
end

local reply = {continuity, version, chain, redis.call('HGETALL', key('composite')), keys}
for _, id in ipairs(ids) do
  if is_enforced(id) then
    reply[#reply + 1] = {id, 1, unpack(redis.call('HMGET', record(id), 'state', 'response', 'subject', 'given', 'heard',
      'knowledge'))}
  else
    reply[#reply + 1] = {id, 0}
  end
end
return reply
