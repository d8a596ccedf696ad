-- KEYS: subject version, the session that was kept, index.
-- The time is the server's own: it concerns pending logins, not sessions.
local time = redis.call('TIME')
return {redis.call('GET', KEYS[1]) or '0', redis.call('GET', KEYS[2]) or '',
  text(time[1] * 1000 + math.floor(time[2] / 1000)), redis.call('ZRANGE', KEYS[3], 0, -1, 'WITHSCORES')}
