#!lua flags=no-writes
--- @include lib/people
--- @include lib/runs
--- @include lib/leases
-- tasks.lua: what waits and runs of each task. O(consumers + tasks × live manifests).
--
-- KEYS[1] the queue's meta hash
--
-- Returns for each task, by name: { task, executor or '', limit or '', high, medium and low pending, running, 1 when paused,
--   1 when a live consumer can run it }
local SUSPECTS_READ = 100 -- the priority of a suspect stands in its record only

local manifests = {} -- of consumers whose lease is not over
for hash, until_ms in pairs(last_leases()) do
  if until_ms > NOW then manifests[#manifests + 1] = hash end
end

local function is_known(task)
  for _, hash in ipairs(manifests) do
    if call('HEXISTS', BASE .. 'manifest:' .. hash, task) == 1 then return 1 end
  end
  return 0
end

local function pending_of(task)
  local pending = {}
  for _, letter in ipairs({ 'h', 'm', 'l' }) do pending[letter] = waiting_in(letter .. ':' .. task) end
  for _, run in ipairs(load_runs(call('LRANGE', lane_key('s:' .. task), 0, SUSPECTS_READ - 1))) do
    if run and run.head.state == 'p' then
      local letter = string.sub(run.lane, 1, 1)
      pending[letter] = pending[letter] + 1
    end
  end
  return pending
end

local replies = {}
for index, task in ipairs(all_tasks()) do
  local info, pending = task_info(task) or {}, pending_of(task)
  replies[index] = {
    task, info.class or '', info.limit and int(info.limit) or '', pending.h, pending.m, pending.l,
    active_count(task), is_paused(task) and 1 or 0, is_known(task),
  }
end
return replies
