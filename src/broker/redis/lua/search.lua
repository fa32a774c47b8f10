#!lua flags=no-writes
--- @include lib/people
--- @include lib/runs
-- search.lua: looks through one page of records for the newest. O(page + lists).
--
-- Records are reached through the lists that they stand in, never by a walk over all of them. Each kind of list (held,
-- lanes, delayed, dead, done) has an equal share of the records that may still be looked at, so that none hides the
-- others, and leaves what it does not need of it to those behind. Lists of ended runs are in the order that is asked for
-- and are left at the first record that is older than the floor; the others are not (promotion and redrive append runs
-- that were enqueued long ago), so that their share is looked through.
--
-- KEYS[1] the queue's meta hash
-- ARGV[1] letters of the states wanted, [2] task or '', [3] schedule uid or '', [4] place (number of the list) and
--   [5] offset in it to begin at, [6] what is left of that list's share, -1 when it is not begun, [7] records to look at
--   now, [8] and in the whole search, at most, [9] floor: older ones are not wanted, [10] how many are wanted
--
-- Returns { next place or 0 when this was the end, next offset, next share, entries used up, records looked at,
--   1 when something was left out, { id, record, … } }: the newest of the page, and all that are as old as the last
local states, wanted_task, wanted_uid = ARGV[1], ARGV[2], ARGV[3]
local place, offset, share = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local look_now, look_left = tonumber(ARGV[7]), tonumber(ARGV[8])
local floor, limit = tonumber(ARGV[9]), tonumber(ARGV[10])

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

local function newest_page(key, from, count)
  local ids, reversed = call('LRANGE', key, -from - count, -from - 1), {}
  for index = #ids, 1, -1 do reversed[#reversed + 1] = ids[index] end
  return reversed
end

local function sorted_page(key, from, count) return call('ZREVRANGE', key, from, from + count - 1) end

-- Every list to look through: { key, page, states of runs that stand in it, whether it is newest first, weight }.
local function places()
  local list = {}
  local function add_kind(keys, size_command, page, letters, in_order)
    local sizes, filled = {}, 0
    for index, key in ipairs(keys) do
      sizes[index] = call(size_command, key)
      if sizes[index] > 0 then filled = filled + 1 end
    end
    for index, key in ipairs(keys) do
      local weight = sizes[index] > 0 and 1 / filled or 0
      list[#list + 1] = { key = key, page = page, letters = letters, in_order = in_order, weight = weight }
    end
  end
  if wants('r') then
    local keys = {}
    for _, incarnation in ipairs(call('ZRANGE', BASE .. 'leases', 0, -1)) do keys[#keys + 1] = BASE .. 'held:' .. incarnation end
    for _, serial in ipairs(call('HKEYS', BASE .. 'dying')) do keys[#keys + 1] = BASE .. 'fenced:' .. serial end
    add_kind(keys, 'HLEN', hash_page, 'r', false)
  end
  if wants('p') then
    local keys = {}
    for _, task in ipairs(wanted_task == '' and all_tasks() or { wanted_task }) do
      for _, letter in ipairs({ 's', 'h', 'm', 'l' }) do keys[#keys + 1] = lane_key(letter .. ':' .. task) end
    end
    add_kind(keys, 'LLEN', newest_page, 'p', false)
  end
  if wants('d') then add_kind({ BASE .. 'delayed' }, 'ZCARD', sorted_page, 'd', false) end
  if wants('f') then add_kind({ BASE .. 'dead' }, 'LLEN', newest_page, 'f', true) end
  if wants('scx') then add_kind({ BASE .. 'done' }, 'LLEN', newest_page, 'scx', true) end
  return list
end

local function matches(run, letters)
  local state = run.head.state
  if not string.find(letters, state, 1, true) or not string.find(states, state, 1, true) then return false end
  return (wanted_task == '' or run.task == wanted_task) and (wanted_uid == '' or run.uid == wanted_uid)
end

local list = places()
local seen, found, used, looked, cut = {}, {}, 0, 0, 0

local function share_of(index)
  local sum = 0
  for rest = index, #list do sum = sum + list[rest].weight end
  if list[index].weight == 0 then return 0 end
  return math.min(look_left, math.ceil(look_left * list[index].weight / sum))
end

-- True when the rest of the list is older than the floor.
local function look_through(at, ids)
  local runs = load_runs(ids)
  for index, id in ipairs(ids) do
    local run = runs[index]
    if run then
      looked = looked + 1
      local stands_here = string.find(at.letters, run.head.state, 1, true) ~= nil
      local instant = tonumber(at.in_order and run.head.ended or run.head.enqueued) or 0
      if stands_here and at.in_order and instant < floor then return true end
      -- A run that failed again after its redrive stands among the dead twice.
      if not seen[id] and matches(run, at.letters) then
        seen[id] = true
        if instant < floor then cut = 1 else found[#found + 1] = { id = id, text = run.text, instant = instant } end
      end
    end
  end
  return false
end

while place <= #list and look_now > 0 do
  local at = list[place]
  if share < 0 then share = share_of(place) end
  local count = math.min(share, look_now)
  local ids = count > 0 and at.page(at.key, offset, count) or {}
  local is_older = look_through(at, ids)
  offset, share, used = offset + #ids, share - #ids, used + #ids
  look_now, look_left = look_now - #ids, look_left - #ids
  if is_older or (share == 0 and #at.page(at.key, offset, 1) > 0) then cut = 1 end
  if is_older or share == 0 or #ids < count then place, offset, share = place + 1, 0, -1 end
end

table.sort(found, function(a, b) return a.instant > b.instant end)
local flat = {}
for index, entry in ipairs(found) do
  if index > limit and (limit == 0 or entry.instant < found[limit].instant) then
    cut = 1
    break
  end
  flat[#flat + 1] = entry.id
  flat[#flat + 1] = entry.text
end
return { place > #list and 0 or place, offset, share, used, looked, cut, flat }
