--- @include lib/lanes
-- wake.lua: wakes as many idle consumers as there is work for.
--
-- A claim that leaves nothing for its consumer enters it in the idle set of its manifest and deletes its wake stream. A
-- transition that makes work ready takes consumers from the idle sets of manifests that name the task, and writes an
-- entry to the wake stream of each. The entry stays until that consumer's next claim, so no wake-up is lost between
-- claim and wait, or with a reply. A consumer that was woken and dies leaves the work to the others' claims, which come
-- at least every 5 s, and to `nudge`, which recovery and promotion call.

-- No transition wakes more; each claim that leaves work behind wakes one more.
local MOST_WAKES = 64
-- A due time may be this late before others than the consumer that has the duty look after it.
local DUTY_GRACE_MS = 1000

local function idle_key(class, hash) return BASE .. 'idle:' .. class .. ':' .. hash end

-- A run that is due within this time may be handed out before it is (EARLY_CLAIM_MS in broker.ts): its consumer waits with it.
local EARLY_MS = 150

local live_manifests
local function get_live_manifests()
  live_manifests = live_manifests or call('HKEYS', BASE .. 'live')
  return live_manifests
end

local woken, woken_count = {}, 0
local anyone_idle

local function wake_one(incarnation)
  if woken[incarnation] then return false end
  woken[incarnation] = true
  woken_count = woken_count + 1
  write('XADD', BASE .. 'wake:' .. incarnation, 'MAXLEN', 1, '*', 'w', '1')
  return true
end

local function wake_idle_of(class, hash, count)
  local key = idle_key(class, hash)
  local left, idle = count, call('ZRANGE', key, 0, count + woken_count)
  know_kind('zset', key)
  for _, incarnation in ipairs(idle) do
    if left == 0 then break end
    if wake_one(incarnation) then
      write('ZREM', key, incarnation)
      left = left - 1
    end
  end
  return left
end

-- Whether any consumer waits to be woken: in a busy queue none does, and all the rest need not be looked at.
local function is_anyone_idle()
  if anyone_idle == nil then
    anyone_idle = false
    for _, hash in ipairs(get_live_manifests()) do
      anyone_idle = anyone_idle or call('EXISTS', idle_key('io', hash), idle_key('cpu', hash)) > 0
    end
  end
  return anyone_idle
end

-- Wakes up to `count` idle consumers that can run the task.
local function wake(task, count)
  local info = task_info(task)
  local left = math.min(count, MOST_WAKES)
  if not info or left <= 0 or meta.paused == 1 or not is_anyone_idle() then return end
  for _, hash in ipairs(get_live_manifests()) do
    if left > 0 and call('HEXISTS', BASE .. 'manifest:' .. hash, task) == 1 then
      left = wake_idle_of(info.class, hash, left)
    end
  end
end

local early_arrivals = {} -- task -> how many runs came that may be handed out before they are due

local function note_early(task) early_arrivals[task] = (early_arrivals[task] or 0) + 1 end

-- Whether runs of the task may be handed out early: only those that nothing but their time holds back.
local function goes_early(task)
  local info = task_info(task)
  return info and info.class == 'io' and room_for(task) == math.huge
end

-- For what `place_touched`, `lane_push` and `note_early` have gathered. To be called once, before the last `commit`.
local function wake_arrivals()
  place_touched()
  for task, count in pairs(arrivals) do
    local ready = 0
    for _, letter in ipairs({ 'h', 'm', 'l', 's' }) do ready = ready + (lengths[letter .. ':' .. task] or 0) end
    local most = math.min(count, ready, room_for(task))
    if most > 0 then wake(task, most) end
  end
  for task, count in pairs(early_arrivals) do
    if goes_early(task) then wake(task, count) end
  end
  arrivals, early_arrivals = {}, {}
end

local function wake_anyone()
  for _, hash in ipairs(get_live_manifests()) do
    for _, class in ipairs({ 'io', 'cpu' }) do
      if wake_idle_of(class, hash, 1) == 0 then return end
    end
  end
end

-- When the next delayed or expiring run needs someone; nil for none.
local function next_run_due()
  local delayed, expiring = least_score(BASE .. 'delayed'), least_score(BASE .. 'expiring')
  if delayed and expiring then return math.min(delayed, expiring) end
  return delayed or expiring
end

local earliest_new_due

-- Notes that something becomes due at `at_ms`; wakes someone when that is earlier than all before.
local function note_due(at_ms)
  if not earliest_new_due or at_ms < earliest_new_due then earliest_new_due = at_ms end
end

before_commit[#before_commit + 1] = function()
  if not earliest_new_due then return end
  local at_ms, before = earliest_new_due, next_run_due()
  earliest_new_due = nil
  if before and before <= at_ms then return end
  -- Whoever has the duty sleeps until the former due time; it alone need know.
  local holder = call('HGET', KEYS[1], 'duty')
  if holder and call('ZSCORE', BASE .. 'leases', holder) then wake_one(holder) else wake_anyone() end
end

-- For work that waits although someone was woken for it: the woken consumer may have died.
local function nudge()
  local due = next_run_due()
  if due and due + DUTY_GRACE_MS < NOW then wake_anyone() end
  if meta.paused == 1 or not is_anyone_idle() then return end
  for _, set in ipairs({ 'suspects:io', 'suspects:cpu', 'ready:io', 'ready:cpu' }) do
    for _, lane in ipairs(call('ZRANGE', BASE .. set, 0, 3)) do wake(string.sub(lane, 3), 1) end
  end
end

on_discard[#on_discard + 1] = function()
  woken, woken_count, earliest_new_due, anyone_idle, early_arrivals = {}, 0, nil, nil, {}
end
