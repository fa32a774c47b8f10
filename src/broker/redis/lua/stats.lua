#!lua flags=no-writes
--- @include lib/people
--- @include lib/runs
-- stats.lua: how much waits, runs and is kept. O(tasks).
--
-- KEYS[1] the queue's meta hash
-- ARGV[1] look-ahead ms
--
-- Returns { pending, delayed, running, kept successes, kept failures, kept bytes, 1 when paused, age of the oldest pending
--   run ms, consumers, delayed runs due within the look-ahead, most runs that may wait }
local FRONT = 16 -- ids looked at in a lane: those in front may be of runs that were cancelled

local function oldest_age()
  local ids = {}
  for _, task in ipairs(all_tasks()) do
    for _, letter in ipairs({ 'h', 'm', 'l', 's' }) do
      for _, id in ipairs(call('LRANGE', lane_key(letter .. ':' .. task), 0, FRONT - 1)) do ids[#ids + 1] = id end
    end
  end
  local oldest = NOW
  for _, run in ipairs(load_runs(ids)) do
    if run and run.head.state == 'p' then
      oldest = math.min(oldest, tonumber(run.head.due) or tonumber(run.head.enqueued))
    end
  end
  return NOW - oldest
end

local delayed_key = BASE .. 'delayed'
local delayed = call('ZCARD', delayed_key)
return {
  int(math.max(0, meta.pending - delayed)), delayed, int(meta.running),
  call('LLEN', BASE .. 'done'), math.max(0, call('LLEN', BASE .. 'dead') - meta.voidFailures),
  int(meta.bytesSucceeded + meta.bytesFailed), int(meta.paused), int(oldest_age()),
  call('ZCARD', BASE .. 'leases'), call('ZCOUNT', delayed_key, '-inf', int(NOW + tonumber(ARGV[1]))),
  int(meta.maxPending),
}
