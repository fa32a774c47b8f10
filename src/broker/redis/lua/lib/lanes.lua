--- @include lib/base
-- lanes.lua: lanes of waiting runs, and which of them stand in a ready set.
--
-- Invariant after each commit: a lane is in its ready set if and only if it is not empty, its task is known, not paused
-- and below its limit. Scripts say `lane_push`, `count_active` or `touch_task`; `place_touched` restores the invariant
-- and gathers, in `arrivals`, for how much new work consumers should be woken.

local ACTIVE = BASE .. 'active'
local LANES = BASE .. 'lanes'
-- Virtual time that one run costs: weights 100, 10 and 1.
local COST = { h = 1, m = 10, l = 100 }
-- A lane may be ahead of the least by what one quantum costs it; more would let it starve (see claim).
local QUANTUM = 64

local function lane_key(lane) return BASE .. 'lane:' .. lane end
local function is_suspect_lane(lane) return string.sub(lane, 1, 1) == 's' end
local function ready_key(lane, class)
  return BASE .. (is_suspect_lane(lane) and 'suspects:' or 'ready:') .. class
end

-- task -> { class, limit (nil: none) } as the newest live build says, or false when no manifest ever named it.
local task_infos = {}

local function parse_task_info(text)
  local class, limit = string.match(text or '', '^(%l+);(%d*)')
  if class ~= 'io' and class ~= 'cpu' then return false end
  return { class = class, limit = tonumber(limit) }
end

local function task_info(task)
  local info = task_infos[task]
  if info == nil then
    info = parse_task_info(call('HGET', BASE .. 'tasks', task))
    task_infos[task] = info
  end
  return info
end

-- Reads what `task_info` will be asked for, as far as it is not known yet.
local function load_task_infos(tasks)
  local unknown = {}
  for _, task in ipairs(tasks) do
    if task_infos[task] == nil then unknown[#unknown + 1] = task end
  end
  for index, text in ipairs(get_many(BASE .. 'tasks', unknown)) do task_infos[unknown[index]] = parse_task_info(text) end
end

local paused_tasks = {}

local function is_paused(task)
  if paused_tasks[task] == nil then paused_tasks[task] = call('SISMEMBER', BASE .. 'paused', task) == 1 end
  return paused_tasks[task]
end

local active, active_changed = {}, {}

local function active_count(task)
  if active[task] == nil then
    active[task] = math.max(0, number_of(call('HGET', ACTIVE, task)) or 0)
    know_kind('hash', ACTIVE)
  end
  return active[task]
end

-- How many more runs of the task may be held; at least 0.
local function room_for(task)
  local info = task_info(task)
  if not info or is_paused(task) then return 0 end
  if not info.limit then return math.huge end
  return math.max(0, info.limit - active_count(task))
end

local touched_tasks, touched_lanes, arrivals = {}, {}, {}

-- To be called when the pause, the limit or the executor of a task may have changed.
local function touch_task(task) touched_tasks[task] = true end

local function count_active(task, delta)
  local before = active_count(task)
  active[task] = math.max(0, before + delta)
  active_changed[task] = true
  local info = task_info(task)
  if info and info.limit and (before < info.limit) ~= (active[task] < info.limit) then touch_task(task) end
end

local lengths = {}

local function lane_length(lane)
  if not lengths[lane] then
    local key = lane_key(lane)
    lengths[lane] = call('LLEN', key)
    know_kind('list', key)
  end
  return lengths[lane]
end

local pushes = {} -- lane -> { front = ids, back = ids }

-- The list to append ids to; the caller adds as many as it says.
local function push_to(lane, at_front, count)
  -- Also when it is not empty: an id that something else put into the list must not keep it out of the ready set.
  touched_lanes[lane] = true
  lengths[lane] = lane_length(lane) + count
  local task = string.sub(lane, 3)
  arrivals[task] = (arrivals[task] or 0) + count
  local push = pushes[lane]
  if not push then
    push = { front = {}, back = {} }
    pushes[lane] = push
  end
  return at_front and push.front or push.back
end

local function lane_push(lane, id, at_front)
  local ids = push_to(lane, at_front, 1)
  ids[#ids + 1] = id
end

-- An id that stays in its lane although its run waits there no longer: claim steps over it.
local ghosts = {}
local function count_ghost(lane, delta) ghosts[lane] = (ghosts[lane] or 0) + delta end

-- Entries looked at from each end of a lane for an id that leaves it without being claimed.
local NEAR_END = 1000
-- Whether this script cuts lanes by how many ids it has read from their fronts: then nothing else may be taken out of them.
local cuts_lanes = false

-- Takes an id out of its lane whose run waits there no longer. Near an end it goes at once: of runs that expire or are
-- replaced where nobody claims, nothing may stay for ever. Further inside it stays as a ghost, or the script would take too long.
local function leave_lane(lane, id)
  local key = lane_key(lane)
  for _, rank in ipairs(cuts_lanes and {} or { 1, -1 }) do
    if call('LPOS', key, id, 'RANK', rank, 'MAXLEN', NEAR_END) then
      know_kind('list', key)
      write('LREM', key, rank, id)
      lengths[lane] = math.max(0, lane_length(lane) - 1)
      touched_lanes[lane] = true
      return
    end
  end
  count_ghost(lane, 1)
end

local function least_score(key)
  return number_of(call('ZRANGE', key, 0, 0, 'WITHSCORES')[2])
end

-- Where a lane enters: not before the least (it may not use up at once what it did not take while it was away), and
-- not further behind than a quantum.
local function entry_score(lane, key)
  if is_suspect_lane(lane) then return NOW end
  local own = number_of(call('HGET', LANES, lane)) or 0
  know_kind('hash', LANES)
  local least = least_score(key)
  if not least then return own end
  return math.min(math.max(own, least), least + QUANTUM * COST[string.sub(lane, 1, 1)])
end

local function leave_ready(lane, key, score)
  write('ZREM', key, lane)
  if not is_suspect_lane(lane) then write('HSET', LANES, lane, int(score)) end
end

local advanced = {} -- lane -> virtual time as a claim in this script has left it

local function place(lane)
  local task = string.sub(lane, 3)
  local info = task_info(task)
  if not info then
    if not is_suspect_lane(lane) and lane_length(lane) > 0 then
      if not call('HGET', LANES, lane) then write('HSET', LANES, lane, 0) end
    end
    return
  end
  local key = ready_key(lane, info.class)
  local score = number_of(call('ZSCORE', key, lane))
  know_kind('zset', key)
  local wanted = room_for(task) > 0 and lane_length(lane) > 0
  if score and not wanted then
    leave_ready(lane, key, advanced[lane] or score)
  elseif wanted and not score then
    score = entry_score(lane, key)
    write('ZADD', key, int(score), lane)
    if not is_suspect_lane(lane) then write('HSET', LANES, lane, int(score)) end
    arrivals[task] = math.max(arrivals[task] or 0, lane_length(lane))
  end
end

-- A task whose executor changes leaves the other set.
local function leave_other_class(lane, class)
  local other = ready_key(lane, class == 'io' and 'cpu' or 'io')
  local score = number_of(call('ZSCORE', other, lane))
  if score then leave_ready(lane, other, score) end
end

local function place_touched()
  for task in pairs(touched_tasks) do
    local info = task_info(task)
    for _, letter in ipairs({ 'h', 'm', 'l', 's' }) do
      local lane = letter .. ':' .. task
      if info then leave_other_class(lane, info.class) end
      touched_lanes[lane] = true
    end
  end
  for lane in pairs(touched_lanes) do place(lane) end
  touched_tasks, touched_lanes = {}, {}
end

before_commit[#before_commit + 1] = function()
  place_touched()
  for lane, push in pairs(pushes) do
    write_many('RPUSH', lane_key(lane), push.back)
    local reversed = {}
    for index = #push.front, 1, -1 do reversed[#reversed + 1] = push.front[index] end
    write_many('LPUSH', lane_key(lane), reversed)
  end
  pushes = {}
  local counts = {}
  for task in pairs(active_changed) do
    counts[#counts + 1] = task
    counts[#counts + 1] = int(active[task])
  end
  active_changed = {}
  write_many('HSET', ACTIVE, counts)
  for lane, delta in pairs(ghosts) do
    local left = (number_of(call('HGET', BASE .. 'ghosts', lane)) or 0) + delta
    if left > 0 then write('HSET', BASE .. 'ghosts', lane, int(left)) else write('HDEL', BASE .. 'ghosts', lane) end
  end
  ghosts = {}
end

on_discard[#on_discard + 1] = function()
  task_infos, paused_tasks, active, active_changed, advanced = {}, {}, {}, {}, {}
  touched_tasks, touched_lanes, arrivals, lengths, pushes, ghosts = {}, {}, {}, {}, {}, {}
end
