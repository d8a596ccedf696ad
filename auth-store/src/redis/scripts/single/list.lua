-- KEYS: subject version, index. ARGV: limit.
local epoch = number_at(KEYS[1])
if not epoch then return corrupt() end
local live, dead = live_rows(KEYS[2], epoch, clock(), nil, true)
if not live then return corrupt() end
for _, id in ipairs(dead) do redis.call('ZREM', KEYS[2], id) end
local answer = {}
for i = 1, math.min(#live, tonumber(ARGV[1])) do answer[i] = {live[i].id, live[i].value} end
return answer
