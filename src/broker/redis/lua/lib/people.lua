--- @include lib/lanes
-- people.lua: what the reads and switches for people share.

-- Every task that was ever heard of: named by a manifest, waiting in a lane, or paused; sorted.
local function all_tasks()
  check_kind('hash', BASE .. 'tasks')
  check_kind('hash', LANES)
  check_kind('set', BASE .. 'paused')
  local seen, names = {}, {}
  local function add(task)
    if seen[task] then return end
    seen[task] = true
    names[#names + 1] = task
  end
  for _, task in ipairs(call('HKEYS', BASE .. 'tasks')) do add(task) end
  for _, lane in ipairs(call('HKEYS', LANES)) do add(string.sub(lane, 3)) end
  for _, task in ipairs(call('SMEMBERS', BASE .. 'paused')) do add(task) end
  table.sort(names)
  return names
end

-- Ids that wait in a lane; ids whose runs wait there no longer are not counted.
local function waiting_in(lane)
  return math.max(0, lane_length(lane) - (number_of(call('HGET', BASE .. 'ghosts', lane)) or 0))
end
