#!lua flags=allow-oom
--- @include lib/recovery
-- leave.lua: ends an incarnation that goes by itself: running -> pending, no attempt used. O(runs held), bounded.
--
-- KEYS[1] the queue's meta hash
-- ARGV[1] incarnation, [2] about how many runs to give back
--
-- Returns 1 when more are left: call again, or leave them to recovery.
local lease = open_lease(ARGV[1])
if lease then end_incarnation(lease, 'l') end
load_dying()
local report = { returned = 0, dead = {}, looked_at = 0 }
local more = drain_dying(tonumber(ARGV[2]), report)
trim_history(report.looked_at + 16)
wake_arrivals()
commit()
return more and 1 or 0
