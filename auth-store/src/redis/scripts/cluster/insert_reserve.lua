-- Adds a login to the index before its row is created, if the index is unchanged since the survey.
-- A score below -PENDING is the deadline of the row; -inf condemns.
-- KEYS: subject version, index. ARGV: subject version, id, time for the row, whether the index
-- must be unchanged, number of surveyed ids, number of ids to condemn, then the surveyed ids, the
-- ids to condemn, the dead ids.
if number_at(KEYS[1]) ~= tonumber(ARGV[1]) then return 'moved' end
local score = redis.call('ZSCORE', KEYS[2], ARGV[2])
if score and tonumber(score) > -PENDING then return 'taken' end
local seen, go = tonumber(ARGV[5]), tonumber(ARGV[6])
if ARGV[4] == '1' then
  if redis.call('ZCARD', KEYS[2]) ~= seen then return 'changed' end
  for i = 7, 6 + seen do
    if not redis.call('ZSCORE', KEYS[2], ARGV[i]) then return 'changed' end
  end
end
local time = redis.call('TIME')
local deadline = time[1] * 1000 + tonumber(ARGV[3])
redis.call('ZADD', KEYS[2], text(-PENDING - deadline), ARGV[2])
keep_at_least(KEYS[2], DAY)
-- Condemned members stay until their rows are marked, so that the next login can complete this.
for i = 7 + seen, 6 + seen + go do redis.call('ZADD', KEYS[2], 'XX', '-inf', ARGV[i]) end
for i = 7 + seen + go, #ARGV do redis.call('ZREM', KEYS[2], ARGV[i]) end
return 'done'
