#!lua flags=no-writes
--- @include lib/schedule
-- decisions.lua: the decision log of a schedule, or its eras. O(records), capped.
--
-- KEYS[1] the queue's meta hash
-- ARGV[1] uid, [2] 'decisions' | 'eras'
--
-- Returns the records, oldest first (schedule-text.ts).
return call('LRANGE', ARGV[2] == 'eras' and eras_key(ARGV[1]) or log_key(ARGV[1]), 0, -1)
