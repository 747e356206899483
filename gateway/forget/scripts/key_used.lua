-- API keys were used. Every replica says so; the latest time counts.
-- ARGV: id, time in ms, id, time in ms, ...
for at = 1, #ARGV, 2 do
  local before = redis.call('HGET', key('keys', 'used'), ARGV[at])
  if tonumber(before or '0') < tonumber(ARGV[at + 1]) then
    redis.call('HSET', key('keys', 'used'), ARGV[at], ARGV[at + 1])
  end
end
