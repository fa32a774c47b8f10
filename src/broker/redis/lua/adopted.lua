#!lua flags=no-writes
--- @include lib/base
-- adopted.lua: one page of the schedules of an install that are not withdrawn. O(page).
--
-- KEYS[1] the queue's meta hash
-- ARGV[1] install, [2] cursor, '0' at first, [3] about how many
--
-- Returns { next cursor or '0', { uid, `namespace\nname`, … } }
local page = call('HSCAN', BASE .. 'install:' .. ARGV[1], ARGV[2], 'COUNT', ARGV[3])
return { page[1], page[2] }
