-- KEYS: epoch, the session to keep, index. ARGV: now, epoch, kept, id to keep or empty.
if number_at(KEYS[1]) ~= tonumber(ARGV[2]) then return false end
local raised = text(tonumber(ARGV[2]) + 1)
local ttl = text(math.max(redis.call('PTTL', KEYS[1]), redis.call('PTTL', KEYS[3]), tonumber(ARGV[3])))
local score = redis.call('ZSCORE', KEYS[3], ARGV[4])
redis.call('SET', KEYS[1], raised, 'PX', ttl)
redis.call('UNLINK', KEYS[2], KEYS[3])
if ARGV[4] ~= '' then
  redis.call('SET', KEYS[2], ARGV[4], 'PX', ttl)
  redis.call('ZADD', KEYS[3], score or text(FOREVER), ARGV[4])
  redis.call('PEXPIRE', KEYS[3], ttl)
end
return raised
