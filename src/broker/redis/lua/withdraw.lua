#!lua flags=allow-oom
--- @include lib/mailbox
-- withdraw.lua: leaves a tombstone in place of a schedule, so that nothing fires for it; its runs in flight go on. Drops
-- tombstones that are old. O(schedules).
--
-- KEYS[1] the queue's meta hash
-- ARGV uids; those that are unknown or withdrawn already are passed over
--
-- Returns how many were withdrawn.
local TOMBSTONE_KEPT_MS = 604800000
local MOST_DROPPED = 64

local withdrawn = 0
for _, uid in ipairs(ARGV) do
  local schedule = open_schedule_checked(uid)
  if schedule.is_known and not schedule.withdrawn_at then
    schedule.withdrawn_at = NOW
    change_schedule(schedule, 'withdrawnAtMs', NOW_TEXT)
    write('HDEL', BASE .. 'install:' .. schedule.install, uid)
    write('ZADD', TOMBSTONES, NOW_TEXT, uid)
    close_era(schedule, NOW_TEXT)
    mailbox.drop_all_of(uid)
    withdrawn = withdrawn + 1
  end
end

check_kind('zset', TOMBSTONES)
for _, uid in ipairs(call('ZRANGE', TOMBSTONES, '-inf', '(' .. int(NOW - TOMBSTONE_KEPT_MS), 'BYSCORE', 'LIMIT', 0, MOST_DROPPED)) do
  write('ZREM', TOMBSTONES, uid)
  write('DEL', schedule_key(uid))
  write('DEL', log_key(uid))
  write('DEL', eras_key(uid))
  write('DEL', inflight_key(uid))
end
commit()
return withdrawn
