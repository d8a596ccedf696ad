-- KEYS: row, and the subject version if it is within reach.
-- ARGV: from generation, from predecessor or empty, subject version, generation,
-- predecessor or empty, recovered, idle, subject, details.
local row = read_row(KEYS[1])
if row == nil then return false end
if not row then return corrupt() end
local predecessor = row.flags % 2 == 1 and row.predecessor or nil
local epoch = tonumber(ARGV[3])
if row.generation ~= tonumber(ARGV[1]) or predecessor ~= tonumber(ARGV[2])
  or row.reason ~= '' or row.epoch ~= epoch or row.subject ~= ARGV[8] then
  return false
end
if KEYS[2] then
  local current = number_at(KEYS[2])
  if not current then return corrupt() end
  if current ~= epoch then return false end
end

local now = clock()
local before = row.idle
row.generation = tonumber(ARGV[4])
row.flags = ARGV[5] == '' and 0 or 1
row.predecessor = tonumber(ARGV[5]) or 0
row.recovered = tonumber(ARGV[6])
row.used = now
row.idle = math.min(plus(now, ARGV[7]), row.absolute)
row.details = ARGV[9]
-- The time from the end of the session to the expiry of the key stays the same.
local ttl = redis.call('PTTL', KEYS[1])
if ttl < 0 then
  redis.call('SET', KEYS[1], pack_row(row))
else
  redis.call('SET', KEYS[1], pack_row(row), 'PX', text(math.max(ttl + row.idle - before, DAY)))
end
return {text(now), text(row.idle)}
