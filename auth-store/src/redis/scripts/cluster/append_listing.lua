-- Lists a revocation whose row is out of reach, unless its listing lasts as long already.
-- KEYS: feed, lifetimes. ARGV: lifetime, margin, duration of the listing so far, then the
-- fields of the entry. Returns now and the duration of the listing.
local now = clock()
local listed = listed_for(KEYS[2], ARGV[1], ARGV[2])
if not listed then return corrupt() end
if listed > tonumber(ARGV[3]) then append(KEYS[1], now, plus(now, listed), unpack(ARGV, 4)) end
return {text(now), text(listed)}
