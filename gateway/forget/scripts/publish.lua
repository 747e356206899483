-- A composite adapter becomes the one to be live. Refused if it would bring back a withdrawn request or lose an active
-- one.
-- ARGV: id and token of the attempt, digest ('' : none), path, rank, stage, sorted ids of the requests in it, ids of those
--       it was verified for, ids of those whose re-check failed, verifications as JSON {id: JSON text}, digests of base
--       and weights, numbers of the layers, ids of the verified who were asked about through others, too
local id, token, digest, stage = ARGV[1], ARGV[2], ARGV[3], ARGV[6]
if not holds(id, token) then
  return {'stale'}
end
if get(id, 'state') == 'guarded' then
  return {'illegal', 'guarded'} -- it is only being asked about
end

-- What an erasure builds on may have lost a request since it began, though its weights have not.
if get(id, 'state') ~= 'withdrawing' and get(id, 'removals') ~= removals() then
  return {'conflict'}
end

local ids, contained = split(ARGV[7])
for _, other in ipairs(ids) do
  if not is_enforced(other) then
    return {'conflict'}
  end
end
local _, newly_verified = split(ARGV[8])
local _, regressed = split(ARGV[9])
local composite = current_composite()
local _, verified_before = split(composite and composite.verified)
local _, newly_untold = split(ARGV[14])
local _, untold_before = split(composite and composite.untold)
for _, other in ipairs((split(composite and composite.requests))) do
  if is_enforced(other) and not contained[other] then
    return {'conflict'}
  end
end

-- A verification holds until a re-check fails.
local verified, untold = {}, {}
for _, other in ipairs(ids) do
  if (newly_verified[other] or verified_before[other]) and not regressed[other] then
    verified[#verified + 1] = other
    if newly_untold[other] or (untold_before[other] and not newly_verified[other]) then
      untold[#untold + 1] = other
    end
  end
end

-- Composites of earlier request sets are kept for withdrawals, the latest so many: the way back is mostly a short one.
local KEPT = 16
local function keep(same_set)
  redis.call('HSET', key('composites'), same_set, cjson.encode(redis.call('HGETALL', key('composite'))))
  redis.call('LREM', key('composites_order'), 0, same_set)
  redis.call('LPUSH', key('composites_order'), same_set)
  redis.call('LTRIM', key('composites_order'), 0, KEPT - 1)
  local kept = {}
  for _, set in ipairs(redis.call('LRANGE', key('composites_order'), 0, -1)) do
    kept[set] = true
  end
  for _, set in ipairs(redis.call('HKEYS', key('composites'))) do
    if not kept[set] then
      redis.call('HDEL', key('composites'), set)
    end
  end
end

redis.call('DEL', key('composite'))
if digest ~= '' then
  redis.call('HSET', key('composite'), 'digest', digest, 'path', ARGV[4], 'rank', ARGV[5], 'stage', stage,
    'requests', ARGV[7], 'verified', table.concat(verified, ','), 'base', ARGV[11], 'weights', ARGV[12],
    'layers', ARGV[13], 'untold', table.concat(untold, ','))
  local same_set = redis.sha1hex(ARGV[7])
  -- An edit is a first step: it never takes the place of a trained adapter for the same set.
  if stage == 'trained' or redis.call('HEXISTS', key('composites'), same_set) == 0 then
    keep(same_set)
  end
end

for other, verification in pairs(cjson.decode(ARGV[10])) do
  redis.call('HSET', record(other), 'verification', verification)
  touch(other)
end
for _, other in ipairs(verified) do
  if newly_verified[other] and get(other, 'state') == 'erasing' then
    move(other, 'verifying', '')
  end
  if newly_verified[other] and get(other, 'state') == 'verifying' then
    needs_no_work(other)
    end_attempt(other)
  end
end
for other in pairs(regressed) do
  if get(other, 'state') == 'verifying' then
    needs_work(other)
  elseif get(other, 'state') == 'erased' then
    redis.call('HSET', record(other), 'attempt', 0)
    redis.call('HDEL', record(other), 'begun')
    move(other, 'guarded', 'recheck_failed')
  end
end
for _, member in ipairs(redis.call('ZRANGE', key('state', 'withdrawing'), 0, -1)) do
  local withdrawing = id_of(member)
  needs_no_work(withdrawing)
  end_attempt(withdrawing)
end
local version = advance_policy(id, 'published')
audit('published', id, '', '', digest, '')
return {'ok', version}
