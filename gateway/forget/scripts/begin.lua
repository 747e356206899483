-- A worker takes a request: guarded becomes erasing, a dead worker's attempt is taken over; a withdrawal keeps its state,
-- and so does what is only guarded, about which it finds out more.
-- ARGV: id, token of the attempt, lease in ms, most attempts
-- Returns: ok, state, number of the attempt; or idle (nothing to do, or somebody is at it); or exhausted
local id, token = ARGV[1], ARGV[2]
local state = get(id, 'state')
if not state then
  return {'missing'}
end
if holds(id, token) then
  return {'ok', state, get(id, 'attempt')} -- the client library sent the command again
end
local present = tick()
if redis.call('SISMEMBER', key('work'), id) == 0 or tonumber(get(id, 'lease') or '0') > present then
  return {'idle', state}
end
local attempts = tonumber(get(id, 'attempt'))
if state == 'guarded' and not erases(id) then
  if attempts >= tonumber(ARGV[4]) then
    needs_no_work(id)
    return {'exhausted', state}
  end
elseif state ~= 'withdrawing' then
  -- Nothing is built on top of an adapter that still has a withdrawn request in it: its rebuild comes first.
  local composite = current_composite()
  for _, other in ipairs((split(composite and composite.requests))) do
    if not is_enforced(other) then
      return {'idle', state}
    end
  end
  if attempts >= tonumber(ARGV[4]) and move(id, 'failed', 'attempts_exhausted') then
    end_attempt(id)
    return {'exhausted', 'failed'}
  end
  if state ~= 'erasing' then
    move(id, 'erasing', '')
  end
  redis.call('HSETNX', record(id), 'begun', now)
  redis.call('SET', key('begun'), now)
end
redis.call('HSET', record(id), 'token', token, 'lease', present + tonumber(ARGV[3]), 'removals', removals())
return {'ok', get(id, 'state'), redis.call('HINCRBY', record(id), 'attempt', 1)}
