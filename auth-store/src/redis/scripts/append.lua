-- KEYS: feed. ARGV: now, until, then the fields of the entry.
publish(KEYS[1], clock(), tonumber(ARGV[2]), unpack(ARGV, 3))
return 1
