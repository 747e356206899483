-- A reviewer decides about a request. A hold stops the work, never the guard: what was enforced stays enforced.
-- ARGV: id, expected revisions or '', decision
local id, decision = ARGV[1], ARGV[3]
local refused = refusal(id, ARGV[2])
if refused then
  return refused
end
local state = get(id, 'state')
local from = {approve = 'awaiting_review', reject = 'awaiting_review', release = 'on_hold'}
local to = {approve = 'received', reject = 'rejected', hold = 'on_hold', release = get(id, 'held')}
if (from[decision] and from[decision] ~= state) or not move(id, to[decision], '') then
  return {'illegal', state}
end

if decision == 'approve' then
  redis.call('HSET', record(id), 'version', advance_policy(id, 'approved'))
elseif decision == 'reject' then
  forget_subject(id)
elseif decision == 'hold' then
  end_attempt(id)
  -- An erasure that was interrupted starts again.
  redis.call('HSET', record(id), 'held', (state == 'erasing' or state == 'verifying') and 'guarded' or state)
else
  redis.call('HDEL', record(id), 'held')
  redis.call('HSET', record(id), 'attempt', 0)
end
return {'ok', to[decision]}
