-- Requests as they stand, with what is needed to say how well they are protected.
-- ARGV: ids
-- Returns: version, replicas as {version, adapter} pairs, composite (flat), then each request (flat; empty: no such
-- request)
local replicas = {}
local reports = redis.call('HGETALL', key('replicas'))
for at = 1, #reports, 2 do
  local report = cjson.decode(reports[at + 1])
  if report.expires > now then
    replicas[#replicas + 1] = {report.version, report.adapter}
  end
end
local reply = {(head()), replicas, redis.call('HGETALL', key('composite'))}
for _, id in ipairs(ARGV) do
  reply[#reply + 1] = redis.call('HGETALL', record(id))
end
return reply
