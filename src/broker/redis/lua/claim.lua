#!lua flags=allow-oom
--- @include lib/cycle
-- claim.lua: pending -> running. A claim that waited behind the read of a wake stream. It was sent long ago, so it is no sign of
-- life and renews no lease. O(runs claimed + lanes looked at).
--
-- KEYS[1] the queue's meta hash
-- ARGV[1] incarnation; ARGV[2], ARGV[3] free slots of io and cpu; ARGV[4] how many runs that are not due yet; ARGV[5] number of this
-- claim
--
-- Returns as cycle.lua for a call that settles nothing; or 'off' when it was called off, or the incarnation was ended
local lease = open_lease(ARGV[1])
if not lease or call('HGET', lease.key, OFF) == ARGV[5] then return 'off' end
-- Whoever calls needs no waking.
woken[lease.id] = true
return claim_and_answer(lease, '', { io = tonumber(ARGV[2]), cpu = tonumber(ARGV[3]) }, tonumber(ARGV[4]))
