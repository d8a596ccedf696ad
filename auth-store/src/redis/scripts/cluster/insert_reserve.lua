-- Enters a login into the index before its row is made, if nothing has changed since the subject was loaded.
-- A score below -PENDING is the time until which the row may take; -inf condemns.
-- KEYS: epoch, index. ARGV: epoch, id, how long the row may take, whether all must be as
-- seen, how many were seen, how many must go, then the seen, those who must go, the dead.
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
-- Condemned members stay until their rows are marked, so that the next login can finish it.
for i = 7 + seen, 6 + seen + go do redis.call('ZADD', KEYS[2], 'XX', '-inf', ARGV[i]) end
for i = 7 + seen + go, #ARGV do redis.call('ZREM', KEYS[2], ARGV[i]) end
return 'done'
