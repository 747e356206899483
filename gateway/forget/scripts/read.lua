-- Requests as they stand, with what is needed to say how well they are protected.
-- ARGV: ids
-- Returns: version, replicas as {version, adapter} pairs, composite (flat), {when an erasure last began or false, how
-- long the latest took in ms}, then each request ('' : no such request) as JSON: one text is read sooner than sixty, and what
-- is sealed is long. With how many erasures are before its own
local SEALED = {subject = true, given = true, training = true, heard = true, knowledge = true, terms = true}
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
  local flat, shown = redis.call('HGETALL', record(id)), {}
  for at = 1, #flat, 2 do
    if not SEALED[flat[at]] then
      shown[flat[at]] = flat[at + 1]
    end
  end
  if #flat > 0 then
    shown.ahead = redis.call('ZLEXCOUNT', key('queue'), '-', '(' .. shown.member)
  end
  reply[#reply + 1] = #flat > 0 and cjson.encode(shown) or ''
end
return reply
