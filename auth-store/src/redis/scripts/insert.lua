-- KEYS: row, epoch, index, feed, and the row to replace if there is one.
-- ARGV: now, epoch, idle, absolute, limit, list_for, kept, id, subject, details, id to replace.
local now = clock()
local epoch = number_at(KEYS[2])
if not epoch then return corrupt() end
if epoch ~= tonumber(ARGV[2]) then return {'moved'} end
if redis.call('EXISTS', KEYS[1]) == 1 then return {'taken'} end

-- Everything is read before anything is written.
local ended = {}
if KEYS[5] then
  local old = read_row(KEYS[5])
  if old and old.reason == '' then
    old.id = ARGV[11]
    ended[1] = old
  end
end
local replaced = #ended
local limit = tonumber(ARGV[5])
local dead
if limit > 0 then
  local live
  live, dead = live_rows(KEYS[3], epoch, now, ARGV[11], false)
  for i = limit, #live do ended[#ended + 1] = live[i] end
else
  dead = {}
  for _, id in ipairs(redis.call('ZRANDMEMBER', KEYS[3], 3)) do
    if redis.call('EXISTS', row_key(id)) == 0 then dead[#dead + 1] = id end
  end
end

local kept = tonumber(ARGV[7])
local absolute = plus(now, ARGV[4])
local idle = math.min(plus(now, ARGV[3]), absolute)
for _, row in ipairs(ended) do publish(KEYS[4], now, plus(now, ARGV[6]), 's', row.id) end
redis.call('SET', KEYS[1], pack_row({
  flags = 0, recovered = 0, generation = 0, predecessor = 0, epoch = epoch, created = now,
  used = now, idle = idle, absolute = absolute, revoked = 0, subject = ARGV[9], reason = '',
  details = ARGV[10],
}), 'PX', text(idle - now + kept))
redis.call('ZADD', KEYS[3], text(absolute), ARGV[8])
keep_at_least(KEYS[3], absolute - now + kept)
if epoch > 0 then keep_at_least(KEYS[2], absolute - now + kept) end

local answer = {'done', text(now), replaced}
for i, row in ipairs(ended) do
  mark_revoked(row_key(row.id), row, i <= replaced and 'replaced' or 'limit', now, kept)
  redis.call('ZREM', index_key(row.subject), row.id)
  if i > replaced then answer[#answer + 1] = row.id end
end
for _, id in ipairs(dead) do redis.call('ZREM', KEYS[3], id) end
return answer
