-- Which requests are found under a name, or one by its id. Each search is told in the audit log, and of each request
-- whose subject it shows.
-- ARGV: limit, HMACs (comma-separated) or '', id or '', whether what is stored is to be shown (1 or 0)
-- Returns: how many there are, then {id, sealed subject or false, sealed training inputs or false}, newest first
local limit, asked, reveals = tonumber(ARGV[1]), ARGV[3], ARGV[4] == '1'
local members, seen = {}, {}
local function found(id)
  local member = get(id, 'member')
  if member and not seen[id] then
    seen[id] = true
    members[#members + 1] = member
  end
end
if asked ~= '' then
  found(asked)
end
for _, term in ipairs((split(ARGV[2]))) do
  for _, id in ipairs(redis.call('SMEMBERS', key('found', term))) do
    found(id)
  end
end
table.sort(members, function(one, other) return one > other end)
audit('searched', '', '', '', tostring(#members), '')
local reply = {#members}
for at = 1, math.min(limit, #members) do
  local id = id_of(members[at])
  local shown = {id}
  if reveals then
    audit('revealed', id, '', '', '', '')
    shown = {id, unpack(redis.call('HMGET', record(id), 'subject', 'training'))}
  end
  reply[#reply + 1] = shown
end
return reply
