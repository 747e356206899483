-- Whatever was changed before this is on disk when this is.
redis.call('SET', key('witnessed'), now)
