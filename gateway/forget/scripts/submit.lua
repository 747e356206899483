-- A new request becomes received and part of the policy, or awaits a review.
-- ARGV: id, hashed idempotency key or "", fingerprint of the body, kind, response, erase as asked, erase as decided
--       (auto or guard_only), labels, sealed subject (with what the guard reads), in_context and audiences to be shown,
--       grounds, HMAC of what is wished for, first state (received or awaiting_review), sealed phrases as given or '',
--       sealed training inputs or '', HMACs to find it by (comma-separated), languages, sealed
--       callback addresses or '', how many, what an OpenDSR controller calls it (JSON) or ''
local id, idempotency, fingerprint = ARGV[1], ARGV[2], ARGV[3]

if idempotency ~= '' then
  local earlier = redis.call('HMGET', key('idempotency', idempotency), 'id', 'fingerprint')
  if earlier[1] and earlier[2] ~= fingerprint then
    return {'conflict'}
  elseif earlier[1] then
    return {'ok', earlier[1]}
  end
  redis.call('HSET', key('idempotency', idempotency), 'id', id, 'fingerprint', fingerprint)
end

-- The client library may send a command again after a lost connection.
if redis.call('EXISTS', record(id)) == 1 then
  return {'ok', id}
end

local member = string.format('%013.0f:%s', now, id)
redis.call('HSET', record(id), 'kind', ARGV[4], 'response', ARGV[5], 'requested', ARGV[6], 'erase', ARGV[7],
  'labels', ARGV[8], 'subject', ARGV[9],
  'in_context', ARGV[10], 'audiences', ARGV[11], 'grounds', ARGV[12], 'wish', ARGV[13], 'member', member, 'created', now,
  'terms', ARGV[17], 'languages', ARGV[18], 'attempt', 0)
if ARGV[15] ~= '' then
  redis.call('HSET', record(id), 'given', ARGV[15])
end
if ARGV[16] ~= '' then
  redis.call('HSET', record(id), 'training', ARGV[16])
  redis.call('ZADD', key('training'), 0, member)
end
if ARGV[19] ~= '' then
  redis.call('HSET', record(id), 'callbacks', ARGV[19], 'callback_count', ARGV[20])
end
if ARGV[21] ~= '' then
  redis.call('HSET', record(id), 'opendsr', ARGV[21])
end
for _, term in ipairs((split(ARGV[17]))) do
  redis.call('SADD', key('found', term), id)
end
local same = redis.call('HGET', key('wishes'), ARGV[13])
if same and not OVER[get(same, 'state')] then
  redis.call('HSET', record(id), 'duplicate', same)
else
  redis.call('HSET', key('wishes'), ARGV[13], id)
end
redis.call('ZADD', key('requests'), 0, member)
enter(id, ARGV[14], '')
redis.call('HSET', record(id), 'version', ARGV[14] == 'received' and advance_policy(id, 'received') or (head()))
return {'ok', id}
