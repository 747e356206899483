-- A request becomes withdrawing: its guard leaves the policy, its share of the composite adapter has to go.
-- ARGV: id, expected revisions or ''
local id = ARGV[1]
local refused = refusal(id, ARGV[2])
if refused then
  return refused
end
local state = get(id, 'state')
if state == 'withdrawing' then
  return {'ok', 'wait'}
end
if not move(id, 'withdrawing', '') then
  return {'illegal', state}
end
end_attempt(id)
redis.call('HSET', record(id), 'attempt', 0)

-- The composite of exactly the remaining requests may have been live before; it will do if it was verified for all those
-- for which the present one is.
local function earlier_composite(remaining, verified_now)
  local earlier = redis.call('HGET', key('composites'), redis.sha1hex(table.concat(remaining, ',')))
  if not earlier then
    return nil
  end
  local fields = cjson.decode(earlier)
  local _, verified_then
  for at = 1, #fields, 2 do
    if fields[at] == 'verified' then
      _, verified_then = split(fields[at + 1])
    end
  end
  for _, other in ipairs(remaining) do
    if verified_now[other] and not verified_then[other] then
      return nil
    end
  end
  return fields
end

-- What has it in its weights is never to be live again.
local function drop_composites_with(withdrawn)
  local flat = redis.call('HGETALL', key('composites'))
  for at = 1, #flat, 2 do
    if string.find(flat[at + 1], withdrawn, 1, true) then
      redis.call('HDEL', key('composites'), flat[at])
      redis.call('LREM', key('composites_order'), 0, flat[at])
    end
  end
end

local next_step = 'wait'
local composite = current_composite()
local ids, contained = split(composite and composite.requests)
if contained[id] then
  redis.call('INCR', key('removals'))
  local _, verified = split(composite.verified)
  local remaining = {}
  for _, other in ipairs(ids) do
    if is_enforced(other) then
      remaining[#remaining + 1] = other
    end
  end
  local earlier = earlier_composite(remaining, verified)
  if #remaining == 0 then
    redis.call('DEL', key('composite'))
  elseif earlier then
    redis.call('DEL', key('composite'))
    redis.call('HSET', key('composite'), unpack(earlier))
  else
    redis.call('SADD', key('work'), id) -- a rebuild, no erasure
    next_step = 'rebuild'
  end
end
drop_composites_with(id)
redis.call('HSET', record(id), 'version', advance_policy(id, 'withdrawing'))
return {'ok', next_step}
