-- Raises an epoch that was raised already, as the feed proves, and is not here. Whom it took along
-- then, nobody knows. KEYS: epoch, the session that was kept, index. ARGV: the least.
local epoch = number_at(KEYS[1])
local least = tonumber(ARGV[1])
if not epoch or least >= MOST_EPOCHS then return corrupt() end
if epoch >= least then return text(epoch) end
local ttl = math.max(redis.call('PTTL', KEYS[1]), redis.call('PTTL', KEYS[3]), DAY)
redis.call('SET', KEYS[1], text(least), 'PX', text(ttl))
redis.call('UNLINK', KEYS[2], KEYS[3])
return text(least)
