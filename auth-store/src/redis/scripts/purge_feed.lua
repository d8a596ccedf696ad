-- KEYS: feed. ARGV: the maximum to remove.
purge_feed(KEYS[1], clock(), tonumber(ARGV[1]))
return 1
