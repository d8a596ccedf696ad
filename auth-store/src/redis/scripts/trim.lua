-- KEYS: feed. ARGV: now, the maximum to remove.
trim(KEYS[1], clock(), tonumber(ARGV[2]))
return 1
