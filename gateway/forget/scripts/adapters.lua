-- Which adapters are still needed.
-- Returns: whether no worker is at anything, then the digests that are or may come to be live, or still are somewhere
local reply, present = {1}, clock()
for _, id in ipairs(redis.call('SMEMBERS', key('work'))) do
  if get(id, 'token') and tonumber(get(id, 'lease') or '0') > present then
    reply[1] = 0
  end
end
local composite = current_composite()
if composite then
  reply[#reply + 1] = composite.digest
end
for _, earlier in ipairs(redis.call('HVALS', key('composites'))) do
  local fields = cjson.decode(earlier)
  for at = 1, #fields, 2 do
    if fields[at] == 'digest' then
      reply[#reply + 1] = fields[at + 1]
    end
  end
end
for _, report in ipairs(redis.call('HVALS', key('replicas'))) do
  reply[#reply + 1] = cjson.decode(report).adapter
end
return reply
