-- KEYS: feed. ARGV: until, then the fields of the entry.
append(KEYS[1], clock(), tonumber(ARGV[1]), unpack(ARGV, 2))
return 1
