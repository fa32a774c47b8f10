#!lua
--- @include lib/mailbox
-- request.lua: asks for a run by hand of a schedule; it waits in the mailbox until fire.lua decides it. O(log requests).
--
-- KEYS[1] the queue's meta hash
-- ARGV[1] uid, [2] request as JSON, [3] '1' when params are given, [4] params
--
-- Returns 'requested', 'duplicate', 'unknown' or 'full'.
local uid, request, has_params, params = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local schedule = open_schedule_checked(uid)
if not schedule.is_known or schedule.withdrawn_at then return 'unknown' end
local member = mailbox.member(uid, request)
check_kind('zset', mailbox.asked)
if has_request(schedule, request) or call('ZSCORE', mailbox.asked, member) then return 'duplicate' end
if call('ZCARD', mailbox.asked) >= mailbox.CAP then return 'full' end
write('ZADD', mailbox.asked, NOW_TEXT, member)
if has_params == '1' then write('HSET', mailbox.params, member, params) end
commit()
return 'requested'
