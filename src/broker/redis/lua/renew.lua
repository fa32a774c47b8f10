#!lua flags=allow-oom
--- @include lib/held
-- renew.lua: prolongs a lease. A lease that is over is not dead: only a recovery pass ends an incarnation. O(1).
--
-- KEYS[1] the queue's meta hash
-- ARGV[1] incarnation
--
-- Returns { 'held' | 'gone', { id to cancel, reason, … } }
local lease = open_lease(ARGV[1])
if not lease then return { 'gone', {} } end
renew(lease)
local cancellations = cancellations_of(lease)
commit()
return { 'held', cancellations }
