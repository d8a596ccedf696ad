-- KEYS: subject version, the session that was kept when it was raised.
return {redis.call('GET', KEYS[1]) or '0', redis.call('GET', KEYS[2]) or ''}
