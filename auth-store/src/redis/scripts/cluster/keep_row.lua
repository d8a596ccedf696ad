-- Moves a row to its subject's raised version. KEYS: row. ARGV: subject version.
local row = read_row(KEYS[1])
if row and row.reason == '' and row.epoch < tonumber(ARGV[1]) then
  row.epoch = tonumber(ARGV[1])
  redis.call('SET', KEYS[1], pack_row(row), 'KEEPTTL')
end
return 1
