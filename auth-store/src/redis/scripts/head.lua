#!lua
-- What all scripts share. A script without flags counts as one that writes, so that a replica
-- refuses it: nothing is ever decided on stale data.
local FOREVER = 9007199254740992
local ROW = '>BBBBBI4I4I6i7i7i7i7i7'
local ROW_LEN = 54
local DAY = 86400000
-- Beyond every moment: see reserve.lua.
local PENDING = 10000000000000000

-- ARGV[1] is the time that a test drives, or empty.
local function clock()
  if ARGV[1] ~= '' then return tonumber(ARGV[1]) end
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

local function plus(moment, by)
  return math.min(moment + tonumber(by), FOREVER)
end

local function text(number)
  return string.format('%.0f', number)
end

local function corrupt()
  return redis.error_reply('CORRUPT a key of the session store is unreadable')
end

local function unpack_row(value)
  if #value < ROW_LEN or string.byte(value) ~= 1 then return false end
  local row = {}
  local _, subject, reason
  _, row.flags, row.recovered, subject, reason, row.generation, row.predecessor, row.epoch,
    row.created, row.used, row.idle, row.absolute, row.revoked = struct.unpack(ROW, value)
  if subject == 0 or #value < ROW_LEN + subject + reason then return false end
  row.subject = string.sub(value, ROW_LEN + 1, ROW_LEN + subject)
  row.reason = string.sub(value, ROW_LEN + subject + 1, ROW_LEN + subject + reason)
  row.details = string.sub(value, ROW_LEN + subject + reason + 1)
  return row
end

local function pack_row(row)
  return struct.pack(ROW, 1, row.flags, row.recovered, #row.subject, #row.reason, row.generation,
    row.predecessor, row.epoch, row.created, row.used, row.idle, row.absolute, row.revoked)
    .. row.subject .. row.reason .. row.details
end

-- The row and its bytes; nil if there is none, false if it is unreadable.
local function read_row(key)
  local value = redis.pcall('GET', key)
  if not value then return nil end
  if type(value) == 'table' then
    if string.sub(value.err, 1, 9) == 'WRONGTYPE' then return false end
    error(value)
  end
  return unpack_row(value), value
end

local function is_live(row, epoch, now)
  return row.reason == '' and row.epoch == epoch and now < row.idle and now < row.absolute
end

-- The number of a key, 0 if there is none, nil if it is no number.
local function number_at(key)
  return tonumber(redis.call('GET', key) or 0)
end

local function keep_at_least(key, ttl)
  if redis.call('PTTL', key) < ttl then redis.call('PEXPIRE', key, text(ttl)) end
end

-- Marks a row that was read as live, and lets it go `kept` after now if not earlier.
local function mark_revoked(key, row, reason, now, kept)
  row.reason = reason
  row.revoked = now
  local ttl = redis.call('PTTL', key)
  if ttl < 0 or ttl > kept then ttl = kept end
  redis.call('SET', key, pack_row(row), 'PX', text(math.max(ttl, 1)))
end

-- Drops the oldest entries that nobody needs any more. A minute is for nodes whose clock is late.
local function trim(feed, now, most)
  for _, entry in ipairs(redis.call('XRANGE', feed, '-', '+', 'COUNT', most)) do
    if (tonumber(entry[2][2]) or FOREVER) + 60000 > now then break end
    redis.call('XDEL', feed, entry[1])
  end
end

-- To be called before anything else is written: it may fail.
local function publish(feed, now, until_, ...)
  redis.call('XADD', feed, '*', 'u', text(until_), ...)
  trim(feed, now, 4)
end
