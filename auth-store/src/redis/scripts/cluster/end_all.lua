-- KEYS: subject version, the session to keep, index, the mark of the last raise.
-- ARGV: subject version, lifetime, margin, mark, id to keep or empty.
local raised = text(tonumber(ARGV[1]) + 1)
-- A second attempt after a lost reply: another raise would also end a login that began in between.
if redis.call('GET', KEYS[4]) == ARGV[4] then return raised end
if number_at(KEYS[1]) ~= tonumber(ARGV[1]) then return false end
local ttl = text(math.max(redis.call('PTTL', KEYS[1]), redis.call('PTTL', KEYS[3]),
  kept(listed_for(nil, ARGV[2], ARGV[3]))))
local score = redis.call('ZSCORE', KEYS[3], ARGV[5])
redis.call('SET', KEYS[1], raised, 'PX', ttl)
redis.call('SET', KEYS[4], ARGV[4], 'PX', '60000')
redis.call('UNLINK', KEYS[2], KEYS[3])
if ARGV[5] ~= '' then
  redis.call('SET', KEYS[2], ARGV[5], 'PX', ttl)
  redis.call('ZADD', KEYS[3], score or text(FOREVER), ARGV[5])
  redis.call('PEXPIRE', KEYS[3], ttl)
end
return raised
