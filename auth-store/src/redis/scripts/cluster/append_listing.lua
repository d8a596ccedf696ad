-- Lists a revocation where its row is out of reach, unless it is listed for as long already.
-- KEYS: feed, lifetimes. ARGV: lifetime, margin, for how long it is listed already, then the
-- fields of the entry. Answers now and for how long.
local now = clock()
local listed = listed_for(KEYS[2], ARGV[1], ARGV[2])
if not listed then return corrupt() end
if listed > tonumber(ARGV[3]) then append(KEYS[1], now, plus(now, listed), unpack(ARGV, 4)) end
return {text(now), text(listed)}
