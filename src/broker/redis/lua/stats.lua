#!lua flags=no-writes
--- @include lib/people
--- @include lib/runs
-- stats.lua: how much waits, runs and is kept. O(tasks).
--
-- KEYS[1] the queue's meta hash
-- ARGV[1] look-ahead ms
--
-- Returns { pending, delayed, running, kept successes, kept failures, kept bytes, 1 when paused, age of the oldest pending
--   run ms, consumers whose lease is not over, delayed runs due within the look-ahead, most runs that may wait }
local FRONT = 16 -- ids read of a lane at first; twice as many after each part in which no run waits
local MOST_READ = 4096

-- Since when the first runs of a lane wait; nil when none does. In front of them may be ids of runs that were cancelled.
local function oldest_in(lane)
  local from, count, oldest = 0, FRONT, nil
  while not oldest and from < MOST_READ do
    local ids = call('LRANGE', lane_key(lane), from, from + count - 1)
    if #ids == 0 then return nil end
    for _, run in ipairs(load_runs(ids)) do
      if run and run.head.state == 'p' then
        local since = tonumber(run.head.due) or tonumber(run.head.enqueued)
        oldest = math.min(oldest or since, since)
      end
    end
    from, count = from + count, count * 2
  end
  return oldest
end

local function oldest_age()
  local oldest = NOW
  for _, task in ipairs(all_tasks()) do
    for _, letter in ipairs({ 'h', 'm', 'l', 's' }) do oldest = math.min(oldest, oldest_in(letter .. ':' .. task) or NOW) end
  end
  return NOW - oldest
end

local delayed_key = BASE .. 'delayed'
local delayed = call('ZCARD', delayed_key)
return {
  int(math.max(0, meta.pending - delayed)), delayed, int(meta.running),
  call('LLEN', BASE .. 'done'), math.max(0, call('LLEN', BASE .. 'dead') - meta.voidFailures),
  int(meta.bytesSucceeded + meta.bytesFailed), int(meta.paused), int(oldest_age()),
  call('ZCOUNT', BASE .. 'leases', '(' .. NOW_TEXT, '+inf'), call('ZCOUNT', delayed_key, '-inf', int(NOW + tonumber(ARGV[1]))),
  int(meta.maxPending),
}
