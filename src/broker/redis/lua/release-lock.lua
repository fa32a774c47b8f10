#!lua flags=allow-oom
-- release-lock.lua: gives a lock back, if the holder has it. O(1).
--
-- KEYS[1] the lock; ARGV[1] holder
--
-- Returns 1 when it was given back.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])
