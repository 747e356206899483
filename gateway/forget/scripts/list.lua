-- A page of ids, newest first.
-- ARGV: state or '', kind or '', limit, cursor (the last member of the page before) or ''
-- Returns: the next cursor or '', then ids
local CHUNK, SCANNED_AT_ONCE = 500, 20000

local members = ARGV[1] == '' and key('requests') or key('state', ARGV[1])
local kind, limit = ARGV[2], tonumber(ARGV[3])
local from = ARGV[4] == '' and '+' or '(' .. ARGV[4]
local ids, last, scanned = {}, nil, 0
while scanned < SCANNED_AT_ONCE do
  local chunk = redis.call('ZREVRANGEBYLEX', members, from, '-', 'LIMIT', 0, CHUNK)
  for _, member in ipairs(chunk) do
    if kind == '' or get(id_of(member), 'kind') == kind then
      if #ids == limit then
        return {last, unpack(ids)}
      end
      ids[#ids + 1] = id_of(member)
    end
    last = member
  end
  if #chunk < CHUNK then
    return {'', unpack(ids)}
  end
  scanned = scanned + #chunk
  from = '(' .. last
end
return {last, unpack(ids)}
