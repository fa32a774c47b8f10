#!lua flags=no-writes
--- @include lib/mailbox
-- requested.lua: runs by hand that wait for schedules of an install, oldest first. O(requests), which are capped.
--
-- KEYS[1] the queue's meta hash
-- ARGV[1] install, [2] how many at most
--
-- Returns for each { uid, request as JSON, ms when it was asked for, params or false }
local install, left = ARGV[1], tonumber(ARGV[2])
local replies = {}
for _, member in ipairs(mailbox.all()) do
  if left <= 0 then break end
  local uid, request = string.match(member, '^(.-)\n(.*)$')
  if uid and open_schedule_checked(uid).install == install then
    check_kind('hash', mailbox.params)
    replies[#replies + 1] = { uid, request, call('ZSCORE', mailbox.asked, member), call('HGET', mailbox.params, member) }
    left = left - 1
  end
end
return replies
