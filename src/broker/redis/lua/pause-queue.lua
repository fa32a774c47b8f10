#!lua flags=allow-oom
--- @include lib/wake
-- pause-queue.lua: stops or resumes all claims of the queue. O(lanes that are ready).
--
-- KEYS[1] the queue's meta hash
-- ARGV[1] 1 to pause, 0 to resume
--
-- Returns 1.
set_meta('paused', tonumber(ARGV[1]))
if meta.paused ~= 1 then
  for _, set in ipairs({ 'suspects:io', 'suspects:cpu', 'ready:io', 'ready:cpu' }) do
    check_kind('zset', BASE .. set)
    for _, lane in ipairs(call('ZRANGE', BASE .. set, 0, MOST_WAKES - 1)) do
      local task = string.sub(lane, 3)
      wake(task, math.min(lane_length(lane), room_for(task)))
    end
  end
end
commit()
return 1
