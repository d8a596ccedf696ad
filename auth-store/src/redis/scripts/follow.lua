-- KEYS: feed, its birth. ARGV: the id to continue after, the maximum number of entries.
-- The birth distinguishes a feed from one that was started again, the replication id the histories
-- of servers.
local birth = redis.call('GET', KEYS[2])
if not birth then
  local time = redis.call('TIME')
  birth = time[1] .. string.format('%06d', time[2])
  redis.call('SET', KEYS[2], birth)
end
local history = string.match(redis.call('INFO', 'replication'), 'master_replid:(%w+)') or ''
local last, deleted = '0-0', '0-0'
if redis.call('EXISTS', KEYS[1]) == 1 then
  local about = redis.call('XINFO', 'STREAM', KEYS[1])
  for i = 1, #about, 2 do
    if about[i] == 'last-generated-id' then last = about[i + 1] end
    if about[i] == 'max-deleted-entry-id' then deleted = about[i + 1] end
  end
end
local entries = {}
for i, entry in ipairs(redis.call('XRANGE', KEYS[1], '(' .. ARGV[1], '+', 'COUNT', ARGV[2])) do
  entries[i] = entry
end
return {birth, history, last, deleted, entries}
