-- KEYS: subject version, index, feed, lifetimes, and the row to keep if there is one.
-- ARGV: subject, reason, lifetime, margin, id to keep.
local now = clock()
local epoch = number_at(KEYS[1])
if not epoch then return corrupt() end
local keep
if KEYS[5] then
  keep = read_row(KEYS[5])
  if keep == false then return corrupt() end
  if not keep or keep.subject ~= ARGV[1] or not is_live(keep, epoch, now) then return false end
end
local listed = listed_for(KEYS[4], ARGV[3], ARGV[4])
if not listed then return corrupt() end

local raised = epoch + 1
local index_ttl = redis.call('PTTL', KEYS[2])
local members = redis.call('ZRANGE', KEYS[2], 0, 499)
append(KEYS[3], now, plus(now, listed), 'j', ARGV[1], 'e', text(raised))
-- The subject version is kept as long as any session of the subject could live.
local epoch_ttl = math.max(redis.call('PTTL', KEYS[1]), index_ttl, kept(listed))
redis.call('SET', KEYS[1], text(raised), 'PX', text(epoch_ttl))
redis.call('UNLINK', KEYS[2])
if keep then
  keep.epoch = raised
  redis.call('SET', KEYS[5], pack_row(keep), 'KEEPTTL')
  redis.call('ZADD', KEYS[2], text(keep.absolute), ARGV[5])
  redis.call('PEXPIRE', KEYS[2], text(epoch_ttl))
end
-- The other rows are dead already. Marking them records the reason, and lets them expire sooner.
for _, id in ipairs(members) do
  local key = row_key(id)
  local row = id ~= ARGV[5] and read_row(key)
  if row and row.reason == '' then end_row(key, row, ARGV[2], '', now, listed) end
end
return {text(raised), text(plus(now, listed))}
