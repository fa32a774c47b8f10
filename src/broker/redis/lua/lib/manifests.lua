--- @include lib/held
-- manifests.lua: who publishes which tasks, and what follows for limits and executors.

local LIVE, BUILDS, SEEN = BASE .. 'live', BASE .. 'builds', BASE .. 'seen'

local function manifest_key(hash) return BASE .. 'manifest:' .. hash end

local live_counts = {}

local function live_count(hash)
  if not live_counts[hash] then live_counts[hash] = number_of(call('HGET', LIVE, hash)) or 0 end
  return live_counts[hash]
end

local function set_live_count(hash, count)
  live_counts[hash] = count
  if count > 0 then write('HSET', LIVE, hash, int(count)) else write('HDEL', LIVE, hash) end
  write('ZADD', SEEN, NOW_TEXT, hash)
  live_manifests = nil
end

-- Hashes of live manifests as this script will leave them, the newest build first.
local function live_by_age()
  local hashes, builds = {}, {}
  local stored = call('HKEYS', LIVE)
  local candidates = {}
  for _, hash in ipairs(stored) do candidates[hash] = true end
  for hash in pairs(live_counts) do candidates[hash] = true end
  for hash in pairs(candidates) do
    if live_count(hash) > 0 then hashes[#hashes + 1] = hash end
  end
  for _, hash in ipairs(hashes) do builds[hash] = number_of(call('HGET', BUILDS, hash)) or 0 end
  return hashes, builds
end

-- Lets the newest live build that names each task decide its executor and limit. `texts`: hash -> task -> text, of
-- manifests that are about to be written. When no live manifest names a task, what was decided last goes on to hold.
local function decide_tasks(tasks, texts, new_builds)
  local hashes, builds = live_by_age()
  for hash, built in pairs(new_builds or {}) do builds[hash] = built end
  table.sort(hashes, function(a, b) return builds[a] > builds[b] or (builds[a] == builds[b] and a > b) end)
  local decided = {}
  for _, hash in ipairs(hashes) do
    local own = texts and texts[hash]
    local stored = own and {} or get_many(manifest_key(hash), tasks)
    for index, task in ipairs(tasks) do
      local text = own and own[task] or stored[index]
      if text and not decided[task] then decided[task] = string.match(text, '^(%l+;%d*)') end
    end
  end
  local current, changes = get_many(BASE .. 'tasks', tasks), {}
  for index, task in ipairs(tasks) do
    if decided[task] and decided[task] ~= current[index] then
      changes[#changes + 1] = task
      changes[#changes + 1] = decided[task]
      task_infos[task] = parse_task_info(decided[task])
      touch_task(task)
    end
  end
  write_many('HSET', BASE .. 'tasks', changes)
end

-- Takes an incarnation out of all but its held hash, which is the caller's to rename in the same script.
local function forget_incarnation(incarnation, manifest)
  write('ZREM', LEASES, incarnation)
  write('HDEL', BASE .. 'consumers', incarnation)
  write('DEL', BASE .. 'wake:' .. incarnation)
  write('ZREM', idle_key('io', manifest), incarnation)
  write('ZREM', idle_key('cpu', manifest), incarnation)
  set_live_count(manifest, math.max(0, live_count(manifest) - 1))
  if live_count(manifest) == 0 then decide_tasks(call('HKEYS', manifest_key(manifest))) end
end
