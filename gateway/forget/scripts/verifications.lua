-- What was measured about the erased requests.
-- ARGV: most of them, and the version and the count of erased requests when the caller last asked: while these are the
-- same, so are the measures, and they are left out
-- Returns: version, how many are erased, then the verifications as JSON, of the newest requests first
local version, erased = (head()), redis.call('ZCARD', key('state', 'erased'))
local reply = {version, erased}
if version ~= tonumber(ARGV[2]) or erased ~= tonumber(ARGV[3]) then
  for _, member in ipairs(redis.call('ZREVRANGEBYLEX', key('state', 'erased'), '+', '-', 'LIMIT', 0, ARGV[1])) do
    reply[#reply + 1] = get(id_of(member), 'verification') or nil
  end
end
return reply
