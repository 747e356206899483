-- What every script begins with: key names, the clock, the change log, the audit log, the one way to change a state.
-- KEYS[1] is the root of all keys; its braces put them into one hash slot. LEGAL comes from model.TRANSITIONS.
-- The last of ARGV says who acts; the scripts do not see it.

local root = KEYS[1]
local UNENFORCED = {awaiting_review = true, rejected = true, withdrawing = true, withdrawn = true}
local OVER = {rejected = true, withdrawing = true, withdrawn = true}
local LOG_LENGTH = 10000
local EVENTS_LENGTH = 2000
local actor = table.remove(ARGV)

local function key(...)
  return table.concat({root, ...}, ':')
end

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000) -- milliseconds
local LONGEST_TICK = 5000

local function record(id)
  return key('request', id)
end

local function get(id, field)
  return redis.call('HGET', record(id), field)
end

-- The time by which leases are counted, in milliseconds. It follows the server's clock, but never goes back and never
-- leaps: however that clock is set, and whichever server takes over, no lease ends before it should or long after.
local function clock()
  local fields = redis.call('HMGET', key('clock'), 'time', 'at')
  local passed = now - tonumber(fields[2] or now)
  return tonumber(fields[1] or now) + math.max(0, math.min(passed, LONGEST_TICK))
end

-- The same, and it goes on from here: whatever keeps a lease calls it, replicas about once a second.
local function tick()
  local at = clock()
  redis.call('HSET', key('clock'), 'time', string.format('%.0f', at), 'at', now)
  return at
end

-- Index members sort by creation: 13 digits of milliseconds, a colon, the id.
local function id_of(member)
  return string.sub(member, 15)
end

local function is_enforced(id)
  return redis.call('SISMEMBER', key('enforced'), id) == 1
end

local function split(joined)
  local ids, present = {}, {}
  for id in string.gmatch(joined or '', '[^,]+') do
    ids[#ids + 1] = id
    present[id] = true
  end
  return ids, present
end

-- The composite adapter that is to be live, or nil.
local function current_composite()
  local flat = redis.call('HGETALL', key('composite'))
  if #flat == 0 then
    return nil
  end
  local composite = {}
  for at = 1, #flat, 2 do
    composite[flat[at]] = flat[at + 1]
  end
  return composite
end

-- How many requests were withdrawn from a live composite so far.
local function removals()
  return redis.call('GET', key('removals')) or '0'
end

local function head()
  local fields = redis.call('HMGET', key('head'), 'version', 'chain')
  return tonumber(fields[1] or '0'), fields[2] or ''
end

-- The chain at a version; false if the log no longer (or not yet) has it.
local function chain_at(version)
  local last, chain = head()
  if version == last then
    return chain
  end
  if version == 0 then
    return ''
  end
  local entry = redis.call('XRANGE', key('log'), version .. '-0', version .. '-0')[1]
  if not entry then
    return false
  end
  for at = 1, #entry[2], 2 do
    if entry[2][at] == 'chain' then
      return entry[2][at + 1]
    end
  end
end

-- A new version of the policy, because of what happened to one request, or ('', 'keys') to the API keys.
local function advance_policy(id, change)
  local _, chain = head()
  local version = redis.call('HINCRBY', key('head'), 'version', 1)
  chain = redis.sha1hex(table.concat({chain, version, id, change, time[1], time[2]}, ':'))
  redis.call('HSET', key('head'), 'chain', chain)
  redis.call('XADD', key('log'), 'MAXLEN', '~', LOG_LENGTH, version .. '-0', 'id', id, 'change', change, 'chain', chain)
  return version
end

-- What stands in the audit log needs no escapes, and is no place for anybody's words.
local function plain(text)
  return (string.gsub(string.sub(text, 1, 100), '[^%w:._-]', '_'))
end

local function code_of(reason)
  local code, rest = string.match(reason, '^([%l%d_]+)(.*)$')
  return code and (rest == '' or string.sub(rest, 1, 1) == ':') and code or (reason ~= '' and 'other' or '')
end

local function audit_head()
  local last = redis.call('XREVRANGE', key('audit'), '+', '-', 'COUNT', 1)[1]
  if not last then
    return 0, string.rep('0', 64)
  end
  return tonumber(string.match(last[1], '^%d+')), last[2][4]
end

-- One more entry of the audit log, for ever: canonical JSON (RFC 8785: sorted members, no spaces) with the SHA-256 of
-- the entry before. Scripts run one after the other, so there is one chain, however many gateways write.
local function audit(act, id, from, to, object, reason)
  local sequence, previous = audit_head()
  local entry = string.format('{"act":"%s","actor":"%s","from":"%s","object":"%s","policy_version":%d,"previous":"%s",'
    .. '"reason":"%s","request":"%s","sequence":%d,"time":%.0f,"to":"%s"}',
    act, plain(actor), from, plain(object), (head()), previous, code_of(reason), id, sequence + 1, now, to)
  redis.call('XADD', key('audit'), (sequence + 1) .. '-0', 'entry', entry, 'digest', sha256(entry))
  if id ~= '' then
    redis.call('ZADD', key('audit', id), sequence + 1, sequence + 1)
  end
end

local function announce(id, ...)
  redis.call('XADD', key('events', id), 'MAXLEN', '~', EVENTS_LENGTH, '*', 'at', now, ...)
end

-- Whether a worker is to change the weights, or only to find out what a guard without an erasure should know.
local function erases(id)
  return get(id, 'erase') == 'auto'
end

local function lacks_knowledge(id)
  return get(id, 'kind') == 'person' and not get(id, 'knowledge')
end

-- Who waits for a worker; of the erasures among them, in which order they came.
local function needs_work(id)
  redis.call('SADD', key('work'), id)
  if erases(id) then
    redis.call('ZADD', key('queue'), 0, get(id, 'member'))
  end
end

local function needs_no_work(id)
  redis.call('SREM', key('work'), id)
  redis.call('ZREM', key('queue'), get(id, 'member'))
end

-- Sets of ids that follow from the record alone.
local function index(id, target)
  if UNENFORCED[target] then
    redis.call('SREM', key('enforced'), id)
  elseif target ~= 'on_hold' then
    redis.call('SADD', key('enforced'), id)
  end
  if target == 'erasing' or (target == 'guarded' and (erases(id) or lacks_knowledge(id))) then
    needs_work(id)
  elseif target ~= 'verifying' then
    needs_no_work(id)
  end
end

local function enter(id, target, reason)
  audit('transition', id, get(id, 'state') or '', target, '', reason)
  local history = cjson.decode(get(id, 'history') or '[]')
  history[#history + 1] = {state = target, at = now, reason = reason}
  redis.call('HSET', record(id), 'state', target, 'reason', reason, 'history', cjson.encode(history), 'updated', now)
  redis.call('HINCRBY', record(id), 'revision', 1)
  redis.call('ZADD', key('state', target), 0, get(id, 'member'))
  index(id, target)
  announce(id, 'event', 'transition', 'state', target, 'reason', reason)
  -- Whoever asked to be told is told by whichever gateway takes it from here: request, step of its history, address.
  for at = 1, tonumber(get(id, 'callback_count') or '0') do
    redis.call('ZADD', key('outbox'), clock(), table.concat({id, #history, at}, ':'))
  end
end

-- Moves a request to another state if the state machine allows it; says whether it did.
local function move(id, target, reason)
  local state = get(id, 'state')
  if not LEGAL[state][target] then
    return false
  end
  redis.call('ZREM', key('state', state), get(id, 'member'))
  enter(id, target, reason)
  return true
end

-- Of a request that is over nothing stays by which its subject could be known.
local function forget_subject(id)
  local wish = get(id, 'wish')
  if wish and redis.call('HGET', key('wishes'), wish) == id then
    redis.call('HDEL', key('wishes'), wish)
  end
  for _, term in ipairs((split(get(id, 'terms')))) do
    redis.call('SREM', key('found', term), id)
  end
  redis.call('ZREM', key('training'), get(id, 'member'))
  redis.call('HDEL', record(id), 'subject', 'given', 'training', 'heard', 'knowledge', 'wish', 'terms')
end

local function touch(id)
  redis.call('HSET', record(id), 'updated', now)
  redis.call('HINCRBY', record(id), 'revision', 1)
end

local function end_attempt(id)
  redis.call('HDEL', record(id), 'token', 'lease', 'stage', 'fraction')
end

local function holds(id, token)
  return get(id, 'token') == token
end

-- Why a change that a client asks for is not made: there is no such request, or it is not as the client saw it.
local function refusal(id, revisions)
  if not get(id, 'state') then
    return {'missing'}
  end
  local _, allowed = split(revisions)
  if revisions ~= '' and not allowed[get(id, 'revision')] then
    return {'revision'}
  end
end
