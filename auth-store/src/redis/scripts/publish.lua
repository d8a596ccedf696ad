-- Lists a revocation whose row is out of reach, unless its listing lasts as long already.
-- KEYS: feed, lifetimes. ARGV: now, lifetime, margin, duration of the listing so far, then the
-- fields of the entry. Returns now and the duration of the listing.
local now = clock()
local listed = listed_for(KEYS[2], ARGV[2], ARGV[3])
if not listed then return corrupt() end
if listed > tonumber(ARGV[4]) then publish(KEYS[1], now, plus(now, listed), unpack(ARGV, 5)) end
return {text(now), text(listed)}
