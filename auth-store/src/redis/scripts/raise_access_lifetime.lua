-- KEYS: lifetimes. ARGV: issuer, lifetime. Returns the longest of any issuer.
local known = tonumber(redis.call('HGET', KEYS[1], ARGV[1]) or 0)
if not known then return corrupt() end
if tonumber(ARGV[2]) > known then redis.call('HSET', KEYS[1], ARGV[1], ARGV[2]) end
local longest = listed_for(KEYS[1], 0, 0)
if not longest then return corrupt() end
return text(longest)
