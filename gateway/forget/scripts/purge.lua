-- What was given for the erasure alone is deleted once that is over for a while; the guard keeps what it needs.
-- ARGV: how long it is kept in ms, most requests looked at, the last member looked at or ''
-- Returns: the last member looked at ('' at the end), then ids of the requests whose training inputs are gone now
local kept, limit = tonumber(ARGV[1]), tonumber(ARGV[2])
local from = ARGV[3] == '' and '-' or '(' .. ARGV[3]
local members = redis.call('ZRANGEBYLEX', key('training'), from, '+', 'LIMIT', 0, limit)
local reply = {#members == limit and members[limit] or ''}
for _, member in ipairs(members) do
  local id = id_of(member)
  local state = get(id, 'state')
  local needless = state == 'erased' or (state == 'guarded' and not erases(id) and not lacks_knowledge(id))
  if needless and tonumber(get(id, 'updated')) + kept <= now then
    redis.call('HDEL', record(id), 'training')
    redis.call('ZREM', key('training'), member)
    audit('training_inputs_deleted', id, '', '', '', '')
    touch(id)
    reply[#reply + 1] = id
  end
end
return reply
