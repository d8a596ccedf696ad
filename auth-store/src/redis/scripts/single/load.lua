-- KEYS: row.
local row, value = read_row(KEYS[1])
if row == nil then return false end
if not row then return corrupt() end
return {value, redis.call('GET', epoch_key(row.subject)) or '0', text(clock())}
