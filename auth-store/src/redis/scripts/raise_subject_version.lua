-- Raises a subject version whose raise the feed has proved and this server has lost. The session
-- that was kept then is unknown. KEYS: subject version, the session that was kept, index.
-- ARGV: the minimum.
local epoch = number_at(KEYS[1])
local least = tonumber(ARGV[1])
if not epoch or least >= MOST_EPOCHS then return corrupt() end
if epoch >= least then return text(epoch) end
local ttl = math.max(redis.call('PTTL', KEYS[1]), redis.call('PTTL', KEYS[3]), DAY)
redis.call('SET', KEYS[1], text(least), 'PX', text(ttl))
redis.call('UNLINK', KEYS[2], KEYS[3])
return text(least)
