-- A replica says what it applies; requests advance as far as ALL live replicas have come.
-- ARGV: replica, version, chain at it, digest of the adapter or '', lease in ms
-- Returns: whether the log the replica followed is this one, the version of the policy, then id, state of what moved.
local LOOKED_AT = 1000
local MOVED_AT_ONCE = 50 -- each takes most of a millisecond, for its audit entry, and nobody else is served meanwhile
local DURATIONS = 20 -- of the latest erasures, to foretell the next

local version, present = tonumber(ARGV[2]), tick()
local same_log = chain_at(version) == ARGV[3]
-- A replica that followed another log is live, but enforces nothing that this log knows of.
local report = {version = same_log and version or -1, adapter = ARGV[4], expires = present + tonumber(ARGV[5])}
redis.call('HSET', key('replicas'), ARGV[1], cjson.encode(report))

local applied, adapter = math.huge, ARGV[4]
local replicas = redis.call('HGETALL', key('replicas'))
for at = 1, #replicas, 2 do
  local replica = cjson.decode(replicas[at + 1])
  if replica.expires <= present then
    redis.call('HDEL', key('replicas'), replicas[at])
  else
    applied = math.min(applied, replica.version)
    adapter = replica.adapter == adapter and adapter
  end
end

local composite = current_composite()
local _, contained = split(composite and composite.requests)
local _, verified = split(composite and composite.verified)
local adapter_everywhere = adapter == (composite and composite.digest or '')
local moved = {}

local function advance(state, target, is_due)
  for _, member in ipairs(redis.call('ZRANGE', key('state', state), 0, LOOKED_AT - 1)) do
    local id = id_of(member)
    if #moved < 2 * MOVED_AT_ONCE and is_due(id) then
      local guard_only = target == 'guarded' and get(id, 'erase') == 'guard_only'
      move(id, target, guard_only and 'guard_only' or '')
      moved[#moved + 1] = id
      moved[#moved + 1] = target
    end
  end
end

local function is_applied(id)
  return tonumber(get(id, 'version')) <= applied
end

advance('received', 'guarded', function(id)
  if is_applied(id) then
    redis.call('HSET', record(id), 'effective', now)
    return true
  end
end)
advance('verifying', 'erased', function(id)
  if not (adapter_everywhere and verified[id]) then
    return false
  end
  redis.call('LPUSH', key('durations'), now - (get(id, 'begun') or now))
  redis.call('LTRIM', key('durations'), 0, DURATIONS - 1)
  return true
end)
advance('withdrawing', 'withdrawn', function(id)
  if is_applied(id) and adapter_everywhere and not contained[id] then
    forget_subject(id)
    return true
  end
end)
return {same_log and 1 or 0, (head()), unpack(moved)}
