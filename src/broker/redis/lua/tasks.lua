#!lua flags=no-writes
--- @include lib/people
--- @include lib/runs
-- tasks.lua: what waits and runs of each task. O(consumers + tasks × live manifests).
--
-- KEYS[1] the queue's meta hash
--
-- Returns for each task, by name: { task, executor or '', limit or '', high, medium and low pending, running, 1 when paused,
--   1 when a live consumer can run it }
local SUSPECTS_READ = 100 -- the priority of a suspect stands in its record only

-- Manifests of consumers whose lease is not over. Those of a consumer that died are kept as live until recovery has ended it,
-- and when it was the last one, nobody does.
local function live_manifests()
  local seen, hashes = {}, {}
  for _, incarnation in ipairs(call('ZRANGE', BASE .. 'leases', '(' .. NOW_TEXT, '+inf', 'BYSCORE')) do
    local lease = call('HGET', BASE .. 'held:' .. incarnation, ' lease')
    local hash = string.match(lease or '', '^%d+;([^;]*);')
    if hash and not seen[hash] then
      seen[hash] = true
      hashes[#hashes + 1] = hash
    end
  end
  return hashes
end

local manifests = live_manifests()

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
