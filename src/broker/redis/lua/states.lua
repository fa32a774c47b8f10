#!lua flags=no-writes
--- @include lib/schedule
-- states.lua: what is remembered of schedules. O(schedules).
--
-- KEYS[1] the queue's meta hash
-- ARGV uids
--
-- Returns for each { runs in flight, field, value, … }; { 0 } for one that was never adopted
local replies = {}
for index, uid in ipairs(ARGV) do replies[index] = stored_state(uid) end
return replies
