-- A sealed field of a request comes under another key, unless it was changed meanwhile.
-- ARGV: id, field, as it was, as it is to be
if get(ARGV[1], ARGV[2]) ~= ARGV[3] then
  return 0
end
redis.call('HSET', record(ARGV[1]), ARGV[2], ARGV[4])
return 1
