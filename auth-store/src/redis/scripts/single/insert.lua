-- KEYS: row, subject version, index, feed, lifetimes, and the row to replace if there is one.
-- ARGV: subject version, idle, absolute, limit, mark, lifetime, margin, id, subject, details,
-- id to replace. Returns the state of the replaced row, and the ids of the sessions ended by the
-- limit.
local now = clock()
local epoch = number_at(KEYS[2])
if not epoch then return corrupt() end
if epoch ~= tonumber(ARGV[1]) then return {'moved'} end
if redis.call('EXISTS', KEYS[1]) == 1 then return {'taken'} end
local listed = listed_for(KEYS[5], ARGV[6], ARGV[7])
if not listed then return corrupt() end

-- All reads come before the first write.
local ended = {}
local old = KEYS[6] and read_row(KEYS[6])
if old and old.reason == '' then
  old.id = ARGV[11]
  ended[1] = old
end
local replaced = #ended
local limit = tonumber(ARGV[4])
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

local absolute = plus(now, ARGV[3])
local idle = math.min(plus(now, ARGV[2]), absolute)
for _, row in ipairs(ended) do append(KEYS[4], now, plus(now, listed), 's', row.id) end
redis.call('SET', KEYS[1], pack_row({
  flags = 0, recovered = 0, generation = 0, predecessor = 0, epoch = epoch, created = now,
  used = now, idle = idle, absolute = absolute, revoked = 0, subject = ARGV[9], reason = '',
  details = ARGV[10],
}), 'PX', text(idle - now + kept(listed)))
redis.call('ZADD', KEYS[3], text(absolute), ARGV[8])
keep_at_least(KEYS[3], absolute - now + kept(listed))
if epoch > 0 then keep_at_least(KEYS[2], absolute - now + kept(listed)) end

local evicted = {}
for i, row in ipairs(ended) do
  end_row(row_key(row.id), row, i <= replaced and 'replaced' or 'limit', ARGV[5], now, listed)
  redis.call('ZREM', index_key(row.subject), row.id)
  if i > replaced then evicted[#evicted + 1] = row.id end
end
for _, id in ipairs(dead) do redis.call('ZREM', KEYS[3], id) end
local until_ = text(plus(now, listed))
return {'done', text(now), until_, old and {old.mark, old.reason, until_} or false, evicted}
