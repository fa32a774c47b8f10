#!lua flags=allow-oom
--- @include lib/wake
-- pause-task.lua: takes the lanes of a task out of their ready sets, or lets them in again. O(1).
--
-- KEYS[1] the queue's meta hash
-- ARGV[1] task, [2] 1 to pause, 0 to resume
--
-- Returns 1.
local task, is_pause = ARGV[1], ARGV[2] == '1'
write(is_pause and 'SADD' or 'SREM', BASE .. 'paused', task)
paused_tasks[task] = is_pause
touch_task(task)
wake_arrivals()
commit()
return 1
