#!lua flags=no-writes
--- @include lib/people
--- @include lib/runs
-- search.lua: looks through one page of records. O(page).
--
-- Records are reached through the lists that they stand in, never by a walk over all of them: running ones by their holders,
-- waiting ones by their lanes and the delayed set, ended ones newest first.
--
-- KEYS[1] the queue's meta hash
-- ARGV[1] letters of the states wanted, [2] task or '', [3] schedule uid or '', [4] place (number of the list) and
--   [5] offset in it to begin at, [6] records to look at at most, [7] records to return at most
--
-- Returns { next place or 0 when this was the end, next offset, records looked at, { id, record, … } }
local states, wanted_task, wanted_uid = ARGV[1], ARGV[2], ARGV[3]
local place, offset = tonumber(ARGV[4]), tonumber(ARGV[5])
local look_left, return_left = tonumber(ARGV[6]), tonumber(ARGV[7])

local function wants(letters)
  return string.find(states, '[' .. letters .. ']') ~= nil
end

local function hash_page(key, from, count)
  local ids = {}
  for _, id in ipairs(call('HKEYS', key)) do
    if string.sub(id, 1, 1) ~= ' ' then ids[#ids + 1] = id end
  end
  return { unpack(ids, from + 1, math.min(#ids, from + count)) }
end

local function list_page(key, from, count) return call('LRANGE', key, from, from + count - 1) end

local function newest_page(key, from, count)
  local ids, reversed = call('LRANGE', key, -from - count, -from - 1), {}
  for index = #ids, 1, -1 do reversed[#reversed + 1] = ids[index] end
  return reversed
end

local function sorted_page(key, from, count) return call('ZRANGE', key, from, from + count - 1) end

-- Every list to look through: { key, page, states of runs that stand in it }.
local function places()
  local list = {}
  local function add(key, page, letters) list[#list + 1] = { key = key, page = page, letters = letters } end
  if wants('r') then
    for _, incarnation in ipairs(call('ZRANGE', BASE .. 'leases', 0, -1)) do add(BASE .. 'held:' .. incarnation, hash_page, 'r') end
    for _, serial in ipairs(call('HKEYS', BASE .. 'dying')) do add(BASE .. 'fenced:' .. serial, hash_page, 'r') end
  end
  if wants('p') then
    local tasks = wanted_task == '' and all_tasks() or { wanted_task }
    for _, task in ipairs(tasks) do
      for _, letter in ipairs({ 's', 'h', 'm', 'l' }) do add(lane_key(letter .. ':' .. task), list_page, 'p') end
    end
  end
  if wants('d') then add(BASE .. 'delayed', sorted_page, 'd') end
  if wants('f') then add(BASE .. 'dead', newest_page, 'f') end
  if wants('scx') then add(BASE .. 'done', newest_page, 'scx') end
  return list
end

local function matches(run, letters)
  local state = run.head.state
  if not string.find(letters, state, 1, true) or not string.find(states, state, 1, true) then return false end
  return (wanted_task == '' or run.task == wanted_task) and (wanted_uid == '' or run.uid == wanted_uid)
end

local list, found, looked = places(), {}, 0
while place <= #list and look_left > 0 do
  local at = list[place]
  local ids = at.page(at.key, offset, look_left)
  local runs = load_runs(ids)
  local is_last = #ids < look_left
  for index, id in ipairs(ids) do
    if return_left == 0 then return { place, offset, looked, found } end
    local run = runs[index]
    offset = offset + 1
    if run then looked = looked + 1 end
    look_left = look_left - 1
    if run and matches(run, at.letters) then
      found[#found + 1] = id
      found[#found + 1] = run.text
      return_left = return_left - 1
    end
  end
  if is_last then place, offset = place + 1, 0 end
end
if place > #list then return { 0, 0, looked, found } end
return { place, offset, looked, found }
