-- KEYS: row, and the feed and the lifetimes if they are within reach.
-- ARGV: reason, mark, lifetime, margin, id. Returns the state of the row.
local row = read_row(KEYS[1])
if row == nil then return false end
if not row then return corrupt() end
local now = clock()
local listed = listed_for(KEYS[3], ARGV[3], ARGV[4])
if not listed then return corrupt() end
if row.reason == '' then
  if KEYS[2] then append(KEYS[2], now, plus(now, listed), 's', ARGV[5]) end
  end_row(KEYS[1], row, ARGV[1], ARGV[2], now, listed)
  if KEYS[2] then redis.call('ZREM', index_key(row.subject), ARGV[5]) end
end
return {row.mark, row.reason, text(plus(now, listed))}
