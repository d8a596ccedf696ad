-- Creates a row. A second attempt finds its own row, and succeeds.
-- KEYS: row. ARGV: now, subject version, idle, absolute, lifetime, margin, subject, details.
local row = read_row(KEYS[1])
if row == false then return false end
if row then
  local own = row.reason == '' and row.generation == 0 and row.epoch == tonumber(ARGV[2])
    and row.subject == ARGV[7] and row.details == ARGV[8]
  if not own then return false end
  return {text(row.created), text(row.absolute)}
end
local now = clock()
local absolute = plus(now, ARGV[4])
local idle = math.min(plus(now, ARGV[3]), absolute)
redis.call('SET', KEYS[1], pack_row({
  flags = 0, recovered = 0, generation = 0, predecessor = 0, epoch = tonumber(ARGV[2]),
  created = now, used = now, idle = idle, absolute = absolute, revoked = 0, subject = ARGV[7],
  reason = '', details = ARGV[8],
}), 'PX', text(idle - now + kept(listed_for(nil, ARGV[5], ARGV[6]))))
return {text(now), text(absolute)}
