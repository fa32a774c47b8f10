#!lua flags=allow-oom
-- hold-lock.lua: takes or prolongs a lock. O(1).
--
-- KEYS[1] the lock; ARGV[1] holder, [2] lease ms
--
-- Returns 1 when the holder now has it, 0 when another does.
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
