-- KEYS: rows. ARGV: now, kept, the most to remove.
local now = clock()
local removed = 0
for _, key in ipairs(KEYS) do
  local row = removed < tonumber(ARGV[3]) and read_row(key)
  if row then
    local ended = math.min(row.idle, row.absolute)
    if row.reason ~= '' then ended = math.min(ended, row.revoked) end
    if plus(ended, ARGV[2]) <= now or row.epoch ~= number_at(epoch_key(row.subject)) then
      redis.call('UNLINK', key)
      redis.call('ZREM', index_key(row.subject), string.sub(key, 8))
      removed = removed + 1
    end
  end
end
return removed
