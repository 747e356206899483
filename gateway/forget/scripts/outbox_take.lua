-- Callbacks that are due, taken for a while: whoever dies with one leaves it to the others.
-- ARGV: most of them, lease in ms
-- Returns: {name, attempts so far, state, time, reason, state before or '', sealed addresses, OpenDSR names or false,
-- time when the request came}, of one without a readable record only the first two
local reply, present = {}, tick()
for _, name in ipairs(redis.call('ZRANGEBYSCORE', key('outbox'), '-inf', present, 'LIMIT', 0, ARGV[1])) do
  redis.call('ZADD', key('outbox'), present + tonumber(ARGV[2]), name)
  local id, step = string.match(name, '^([^:]+):(%d+):%d+$')
  local attempts = tonumber(redis.call('HGET', key('outbox_attempts'), name) or '0')
  local readable, history = pcall(cjson.decode, id and get(id, 'history') or '')
  local entry = readable and history[tonumber(step)]
  local before = entry and history[tonumber(step) - 1]
  reply[#reply + 1] = entry and {
    name, attempts, entry.state, tostring(entry.at), entry.reason, before and before.state or '', get(id, 'callbacks'),
    get(id, 'opendsr'), get(id, 'created'),
  } or {name, attempts}
end
return reply
