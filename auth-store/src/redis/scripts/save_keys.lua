-- KEYS: keys. ARGV: the expected version or empty, the sealed keys.
local version = redis.call('HGET', KEYS[1], 'version') or ''
if version ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'version', text((tonumber(version) or 0) + 1), 'sealed', ARGV[2])
return 1
