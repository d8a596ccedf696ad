-- Reads subject version and index again after the row was created: changes since then apply to it.
-- KEYS: subject version, index. ARGV: subject version, id, absolute end, absolute time,
-- lifetime, margin.
local score = redis.call('ZSCORE', KEYS[2], ARGV[2])
if number_at(KEYS[1]) ~= tonumber(ARGV[1]) then return 'moved' end
if not score or tonumber(score) == -math.huge then return 'gone' end
redis.call('ZADD', KEYS[2], 'XX', ARGV[3], ARGV[2])
local ttl = ARGV[4] + kept(listed_for(nil, ARGV[5], ARGV[6]))
keep_at_least(KEYS[2], ttl)
if redis.call('EXISTS', KEYS[1]) == 1 then keep_at_least(KEYS[1], ttl) end
return 'done'
