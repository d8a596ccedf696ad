-- KEYS: rows. ARGV: kept, the maximum to remove, and 1 if the subjects are within reach.
local now = clock()
local whole = ARGV[3] == '1'
local removed = 0
for _, key in ipairs(KEYS) do
  local row = removed < tonumber(ARGV[2]) and read_row(key)
  if row then
    local ended = math.min(row.idle, row.absolute)
    if row.reason ~= '' then ended = math.min(ended, row.revoked) end
    local over = plus(ended, ARGV[1]) <= now
    if over or whole and row.epoch ~= number_at(epoch_key(row.subject)) then
      redis.call('UNLINK', key)
      if whole then redis.call('ZREM', index_key(row.subject), string.sub(key, 8)) end
      removed = removed + 1
    end
  end
end
return removed
