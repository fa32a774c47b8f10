#!lua flags=allow-oom
--- @include lib/held
-- call-off.lua: calls off a claim of claim.lua that waits: it is made now, and takes nothing. O(1).
--
-- KEYS[1] the queue's meta hash
-- ARGV[1] incarnation; ARGV[2] number of the claim
--
-- Returns 'held' | 'gone'
local lease = open_lease(ARGV[1])
-- Of an incarnation that was ended nobody would delete the entry.
if not lease then return 'gone' end
write('HSET', lease.key, OFF, ARGV[2])
wake_one(lease.id)
commit()
return 'held'
