#!lua flags=allow-oom
--- @include lib/finish
--- @include lib/people
-- purge.lua: pending or delayed -> cancelled. O(ids looked at), bounded.
--
-- KEYS[1] the queue's meta hash
-- ARGV[1] reason as JSON, [2] how many ids to look at at most
--
-- Returns { runs cancelled, 1 when anything is left to look at }
local left, cancelled = tonumber(ARGV[2]), 0

local function purge_lane(lane)
  local ids = call('LRANGE', lane_key(lane), 0, left - 1)
  if #ids == 0 then return end
  for _, run in ipairs(load_runs(ids)) do
    if run and run.head.state == 'p' then
      finish(run, 'c', ARGV[1])
      cancelled = cancelled + 1
    end
  end
  -- `finish` has counted the ids that it left behind in their lane; here they go.
  count_ghost(lane, -#ids)
  write('LTRIM', lane_key(lane), #ids, -1)
  lengths[lane] = math.max(0, lane_length(lane) - #ids)
  touched_lanes[lane] = true
  left = left - #ids
end

local function purge_delayed()
  local ids = call('ZRANGE', DELAYED, 0, left - 1)
  local runs = load_runs(ids)
  for index, id in ipairs(ids) do
    local run = runs[index]
    if run and run.head.state == 'd' then
      finish(run, 'c', ARGV[1])
      cancelled = cancelled + 1
    else
      write('ZREM', DELAYED, id)
    end
  end
  left = left - #ids
  return call('ZCARD', DELAYED) > #ids
end

local function any_lane_left(tasks)
  for _, task in ipairs(tasks) do
    for _, letter in ipairs({ 's', 'h', 'm', 'l' }) do
      if lane_length(letter .. ':' .. task) > 0 then return true end
    end
  end
  return false
end

cuts_lanes = true
local tasks = all_tasks()
for _, task in ipairs(tasks) do
  for _, letter in ipairs({ 's', 'h', 'm', 'l' }) do
    if left > 0 then purge_lane(letter .. ':' .. task) end
  end
end
check_kind('zset', DELAYED)
local delayed_left
if left > 0 then delayed_left = purge_delayed() else delayed_left = call('ZCARD', DELAYED) > 0 end
local more = any_lane_left(tasks) or delayed_left
check_kind('list', DEAD)
check_kind('hash', REDRIVEN)
commit()
if cancelled > 0 and trim_history(2 * cancelled + 16) > 0 then commit() end
return { cancelled, more and 1 or 0 }
