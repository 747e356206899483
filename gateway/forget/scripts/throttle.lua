-- Counts a request of an API key by the generic cell rate algorithm (gateway/security/rates.py has it for one replica).
-- ARGV: id, requests in a period, the period in ms
-- Returns: ms until the request may come again, 0 if it may now
local arrivals, count, period = key('rate', ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
-- Never beyond a period from now: the server's clock may have been set back.
local earlier = math.min(tonumber(redis.call('GET', arrivals) or '0'), now + period)
local full_at = math.max(now, earlier) + period / count
if full_at - now > period then
  return math.ceil(full_at - now - period)
end
redis.call('SET', arrivals, string.format('%.3f', full_at), 'PX', math.ceil(period) + 1000)
return 0
