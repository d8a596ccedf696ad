#!lua
-- The part of all scripts. A script without flags counts as a writing one, so that a replica
-- refuses it: no decision uses stale data.
local FOREVER = 9007199254740992
local ROW = '>BBBBBI4I4I6i7i7i7i7i7'
local ROW_LEN = 54
local DAY = 86400000
-- A row has six bytes for a subject version.
local MOST_EPOCHS = 281474976710656
-- Beyond every time: see cluster/insert_reserve.lua.
local PENDING = 10000000000000000
-- Flags of a row: the first bit for a predecessor, the second for a mark at the start of the
-- details. The mark is a member that earlier versions skip.
local MARKED = 2
local MARK = '{"mark":"'
local MARK_LEN = 32

local function clock()
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
  row.mark = ''
  if row.flags >= MARKED then row.mark = string.sub(row.details, #MARK + 1, #MARK + MARK_LEN) end
  return row
end

local function pack_row(row)
  return struct.pack(ROW, 1, row.flags, row.recovered, #row.subject, #row.reason, row.generation,
    row.predecessor, row.epoch, row.created, row.used, row.idle, row.absolute, row.revoked)
    .. row.subject .. row.reason .. row.details
end

-- The row and its bytes: nil if there is none, false if it is unreadable.
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

-- The number of a key: 0 if there is none, nil if it is not a number.
local function number_at(key)
  return tonumber(redis.call('GET', key) or 0)
end

local function keep_at_least(key, ttl)
  if redis.call('PTTL', key) < ttl then redis.call('PEXPIRE', key, text(ttl)) end
end

-- The duration of a listing: the longest access token lifetime of any issuer, including the
-- caller's, plus a margin. nil if one is not a number. The lifetimes are in the feed's slot: if
-- that is out of reach, they are not among the keys, and the caller has read them before.
local function listed_for(lifetimes, own, margin)
  local longest = tonumber(own)
  for _, known in ipairs(lifetimes and redis.call('HVALS', lifetimes) or {}) do
    known = tonumber(known)
    if not known then return nil end
    longest = math.max(longest, known)
  end
  return plus(longest, margin)
end

-- The time for which a row is kept after its end: as long as it may be listed, at least a day.
local function kept(listed)
  return math.max(DAY, listed)
end

-- Ends a row that was read as live, and shortens the expiry of its key.
local function end_row(key, row, reason, mark, now, listed)
  row.reason = reason
  row.revoked = now
  row.mark = mark
  if mark ~= '' then
    row.flags = row.flags + MARKED
    row.details = MARK .. mark .. '",' .. string.sub(row.details, 2)
  end
  local ttl = redis.call('PTTL', key)
  if ttl < 0 or ttl > kept(listed) then ttl = kept(listed) end
  redis.call('SET', key, pack_row(row), 'PX', text(math.max(ttl, 1)))
end

-- Removes the oldest entries that are no longer in force. A minute is for nodes with a late clock.
local function purge_feed(feed, now, most)
  for _, entry in ipairs(redis.call('XRANGE', feed, '-', '+', 'COUNT', most)) do
    if (tonumber(entry[2][2]) or FOREVER) + 60000 > now then break end
    redis.call('XDEL', feed, entry[1])
  end
end

-- Call it before any other write: it may fail.
local function append(feed, now, until_, ...)
  redis.call('XADD', feed, '*', 'u', text(until_), ...)
  purge_feed(feed, now, 4)
end
