-- Creates a row. A second attempt finds its own row, and succeeds.
-- KEYS: row. ARGV: subject version, idle, absolute, lifetime, margin, subject, details.
local row = read_row(KEYS[1])
if row == false then return false end
if row then
  local own = row.reason == '' and row.generation == 0 and row.epoch == tonumber(ARGV[1])
    and row.subject == ARGV[6] and row.details == ARGV[7]
  if not own then return false end
  return {text(row.created), text(row.absolute)}
end
local now = clock()
local absolute = plus(now, ARGV[3])
local idle = math.min(plus(now, ARGV[2]), absolute)
redis.call('SET', KEYS[1], pack_row({
  flags = 0, recovered = 0, generation = 0, predecessor = 0, epoch = tonumber(ARGV[1]),
  created = now, used = now, idle = idle, absolute = absolute, revoked = 0, subject = ARGV[6],
  reason = '', details = ARGV[7],
}), 'PX', text(idle - now + kept(listed_for(nil, ARGV[4], ARGV[5]))))
return {text(now), text(absolute)}
