-- KEYS: keys.
local kept = redis.call('HMGET', KEYS[1], 'version', 'sealed')
return {kept[1] or '', kept[2] or '', text(clock())}
