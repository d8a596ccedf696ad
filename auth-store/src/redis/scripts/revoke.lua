-- KEYS: row, and the feed where it is within reach. ARGV: now, reason, list_for, kept, id.
local row = read_row(KEYS[1])
if row == nil then return 0 end
if not row then return corrupt() end
if row.reason ~= '' then return 0 end
local now = clock()
if KEYS[2] then publish(KEYS[2], now, plus(now, ARGV[3]), 's', ARGV[5]) end
mark_revoked(KEYS[1], row, ARGV[2], now, tonumber(ARGV[4]))
if KEYS[2] then redis.call('ZREM', index_key(row.subject), ARGV[5]) end
return 1
