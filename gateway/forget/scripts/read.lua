-- Requests as they stand, with what is needed to say how well they are protected.
-- ARGV: ids
-- Returns: version, replicas as {version, adapter} pairs, composite (flat), {when an erasure last began or false, how
-- long the latest took in ms}, then each request (flat, with how many erasures are before its own; empty: no such request)
local replicas = {}
local present = clock()
local reports = redis.call('HGETALL', key('replicas'))
for at = 1, #reports, 2 do
  local report = cjson.decode(reports[at + 1])
  if report.expires > present then
    replicas[#replicas + 1] = {report.version, report.adapter}
  end
end
local pace = {redis.call('GET', key('begun')), unpack(redis.call('LRANGE', key('durations'), 0, -1))}
local reply = {(head()), replicas, redis.call('HGETALL', key('composite')), pace}
for _, id in ipairs(ARGV) do
  local flat = redis.call('HGETALL', record(id))
  if #flat > 0 then
    flat[#flat + 1] = 'ahead'
    flat[#flat + 1] = redis.call('ZLEXCOUNT', key('queue'), '-', '(' .. get(id, 'member'))
  end
  reply[#reply + 1] = flat
end
return reply
