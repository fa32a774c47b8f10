--- @include lib/held
-- claim.lua: which waiting runs an incarnation is handed. Fair between lanes, weighted by priority (stride scheduling).
--
-- The least lane that this consumer can run gives up to a quantum of runs and its virtual time advances by what they cost.
-- A lane that is further ahead of the least candidate than a quantum is pulled back to that distance: otherwise a lane that
-- another pool of consumers has served alone for a while would have to wait for as long when that pool dies.

local PAGE = 16 -- lanes read at first; most claims need one or two
local FURTHER_PAGE = 64
local FAR_LANES = 4 -- looked at from the far end of the ready set, for the pull-back
-- Ids looked at in one claim: a lane full of cancelled runs must not hold up everyone else.
local MOST_EXAMINED = 2000
-- Longer records are not ours (256 KiB of params, 64 KiB of result), and too long to hand to everyone who asks.
local MOST_BYTES = 1048576

local taken = { claimed = {}, holdings = {}, ids = {}, examined = 0, early = 0 }
local offsets = {} -- lane -> how many ids this claim has taken from its front
local claim_heads = {}

local function claimed_head(head, incarnation)
  local text = claim_heads[head]
  if not text then
    text = make_head(head, { state = 'r', attempt = head.attempt + 1, started = NOW_TEXT, ended = '', incarnation = incarnation })
    claim_heads[head] = text
  end
  return text
end

-- Printable ASCII without space: an id stands among the fields of held hashes, and must come back from a client as it went.
local ID = '^[!-~]+$'

local function hand_out(lease, run, token)
  if run.head.expires ~= '' then write('ZREM', EXPIRING, run.id) end
  put_run(run, claimed_head(run.head, lease.id))
  changed_records[run.id] = nil -- written with all that are claimed
  taken.claimed[#taken.claimed + 1] = run.id
  taken.claimed[#taken.claimed + 1] = run.text
  taken.holdings[#taken.holdings + 1] = run.id
  taken.holdings[#taken.holdings + 1] = token
end

local function is_expired(run)
  return run.head.attempt == 0 and run.head.expires ~= '' and tonumber(run.head.expires) <= NOW
end

-- Whether runs with this opening can be handed out by `plain_record`, and the head that they get.
local function prepare_opening(lease, opening)
  local head = opening.head
  opening.waits = head.state == 'p' and head.suspect ~= '1' and head.expires == ''
  opening.claimed = opening.waits and claimed_head(head, lease.id)
end

-- The record of a run that has no expiry, as it is handed out, at a fraction of the cost of `hand_out`; nil when the run is
-- not as plain as that.
local function plain_record(lease, lane, text)
  local opening = opening_of(text)
  if not opening then return nil end
  if opening.waits == nil then prepare_opening(lease, opening) end
  if not opening.waits or opening.lane ~= lane then return nil end
  return opening.claimed .. sub(text, opening.head_end)
end

-- Hands out a run that is not plain, or does what is to be done about an id that is not to be handed out.
local function take_one(lease, lane, id, text, token)
  local run
  if text and not taken.ids[id] then run = #text <= MOST_BYTES and find(id, ID) ~= nil and open_run(id, text) end
  local waits_here = run and run.head.state == 'p' and lane_of(run) == lane
  if waits_here and not is_expired(run) then
    hand_out(lease, run, token)
    return 1
  end
  count_ghost(lane, -1)
  if waits_here then
    finish(run, 'x', '')
  elseif run == false then
    bury(id, lane, 'p', text)
  elseif run and run.head.state == 'p' then
    -- A ghost of an id that was used again for another task; or something else put it here, and only here.
    lane_push(lane_of(run), id, false)
  end
  return 0
end

-- Hands out up to `count` runs from the front of a lane; returns how many.
local function take_from(lease, lane, count, token)
  local from = offsets[lane] or 0
  local ids = call('LRANGE', lane_key(lane), from, from + count - 1)
  local texts, handed = get_many(RUNS, ids), 0
  local seen, claimed, holdings = taken.ids, taken.claimed, taken.holdings
  local last = #claimed
  for index = 1, #ids do
    local id, text = ids[index], texts[index]
    local record = text and #text <= MOST_BYTES and not seen[id] and open_runs[id] == nil and find(id, ID)
      and plain_record(lease, lane, text)
    if record then
      -- Should its id stand twice in its lane, the second is a ghost.
      seen[id] = true
      claimed[last + 1], claimed[last + 2] = id, record
      holdings[last + 1], holdings[last + 2] = id, token
      last = last + 2
      handed = handed + 1
    else
      handed = handed + take_one(lease, lane, id, text, token)
      last = #claimed
    end
  end
  offsets[lane] = from + #ids
  lengths[lane] = math.max(0, lane_length(lane) - #ids)
  taken.examined = taken.examined + #ids
  add_meta('pending', -handed)
  add_meta('running', handed)
  if handed > 0 then count_active(string.sub(lane, 3), handed) end
  return handed
end

-- Lanes of a page (lane, score, lane, score …) that this incarnation can run, as candidates.
local function add_candidates(search, page)
  local lanes, tasks = {}, {}
  for index = 1, #page, 2 do
    local lane = page[index]
    if not string.find(lane, '^[hml]:.') then
      write('ZREM', search.key, lane) -- no lane of ours; it has no cost, so no turn could ever be told
    elseif not search.seen[lane] then
      search.seen[lane] = true
      lanes[#lanes + 1] = { lane = lane, task = string.sub(lane, 3), score = number_of(page[index + 1]) or 0 }
      tasks[#tasks + 1] = string.sub(lane, 3)
    end
  end
  local known = get_many(search.manifest_key, tasks)
  load_task_infos(tasks)
  for index, candidate in ipairs(lanes) do
    local task = candidate.task
    -- By the invariant of lanes.lua no lane of a paused task is here.
    if paused_tasks[task] == nil then paused_tasks[task] = false end
    if known[index] then search.candidates[#search.candidates + 1] = candidate end
  end
end

local function load_page(search, size)
  local page = call('ZRANGE', search.key, search.offset, search.offset + size - 1, 'WITHSCORES')
  know_kind('zset', search.key)
  search.offset = search.offset + size
  search.is_complete = #page < 2 * size
  search.reached = number_of(page[#page]) or search.reached
  add_candidates(search, page)
end

local function pull_back(search)
  if not search.is_complete then add_candidates(search, call('ZRANGE', search.key, -FAR_LANES, -1, 'WITHSCORES')) end
  local least
  for _, candidate in ipairs(search.candidates) do
    if not least or candidate.score < least then least = candidate.score end
  end
  for _, candidate in ipairs(search.candidates) do
    local most = least + QUANTUM * COST[string.sub(candidate.lane, 1, 1)]
    if candidate.score > most then
      candidate.score = most
      candidate.moved = true
    end
  end
end

local function begin_search(lease, class)
  local search = {
    key = BASE .. 'ready:' .. class, manifest_key = BASE .. 'manifest:' .. lease.manifest,
    candidates = {}, seen = {}, offset = 0, reached = 0, is_complete = false,
  }
  load_page(search, PAGE)
  while #search.candidates == 0 and not search.is_complete do load_page(search, FURTHER_PAGE) end
  pull_back(search)
  return search
end

local function has_work(candidate) return lane_length(candidate.lane) > 0 and room_for(candidate.task) > 0 end

-- The candidate whose turn it is; nil when this consumer can run nothing more.
local function least_candidate(search)
  while true do
    local least
    for _, candidate in ipairs(search.candidates) do
      local is_less = not least or candidate.score < least.score
        or (candidate.score == least.score and candidate.lane < least.lane)
      if is_less and has_work(candidate) then least = candidate end
    end
    if search.is_complete or (least and least.score <= search.reached) then return least end
    load_page(search, FURTHER_PAGE)
  end
end

local function claim_from_lanes(lease, search, wanted, token)
  local left = wanted
  while left > 0 and taken.examined < MOST_EXAMINED do
    local candidate = least_candidate(search)
    if not candidate then break end
    local count = math.min(QUANTUM, left, room_for(candidate.task))
    local handed = take_from(lease, candidate.lane, count, token)
    candidate.score = candidate.score + handed * COST[string.sub(candidate.lane, 1, 1)]
    candidate.moved = true
    left = left - handed
  end
  for _, candidate in ipairs(search.candidates) do
    if candidate.moved then
      local lane = candidate.lane
      advanced[lane] = candidate.score
      if lane_length(lane) > 0 then write('ZADD', search.key, int(candidate.score), lane) else touched_lanes[lane] = true end
    end
  end
  return wanted - left
end

-- The lane of suspects that this incarnation may take from; nil when it holds one already.
local function suspect_lane(lease, class)
  if lease.suspect then return nil end
  local page = call('ZRANGE', BASE .. 'suspects:' .. class, 0, FURTHER_PAGE - 1)
  local tasks = {}
  for index, lane in ipairs(page) do tasks[index] = string.sub(lane, 3) end
  local known = get_many(BASE .. 'manifest:' .. lease.manifest, tasks)
  for index, lane in ipairs(page) do
    if known[index] and room_for(tasks[index]) > 0 and lane_length(lane) > 0 then return lane end
  end
  return nil
end

-- Hands out at most one suspect: a consumer holds no two, or the innocent one would be blamed with the other.
local function claim_suspect(lease, class, token)
  local lane = suspect_lane(lease, class)
  while lane and not lease.suspect and taken.examined < MOST_EXAMINED do
    if take_from(lease, lane, 1, token) == 1 then
      lease.suspect = taken.claimed[#taken.claimed - 1]
      write('HSET', lease.key, SUSPECT, lease.suspect)
    end
    if lane_length(lane) == 0 then
      touched_lanes[lane] = true
      lane = suspect_lane(lease, class)
    else
      -- The tasks take turns.
      write('ZADD', BASE .. 'suspects:' .. class, NOW_TEXT, lane)
    end
  end
end

local early_heads = {}

local function early_head(head, incarnation)
  local text = early_heads[head]
  if not text then
    local started = tonumber(head.due) > NOW and head.due or NOW_TEXT
    text = make_head(head, { state = 'r', attempt = 1, started = started, incarnation = incarnation })
    early_heads[head] = text
  end
  return text
end

local runs_early = {}

local function can_run_early(lease, task)
  if runs_early[task] == nil then
    runs_early[task] = goes_early(task) and call('HEXISTS', BASE .. 'manifest:' .. lease.manifest, task) == 1
  end
  return runs_early[task]
end

-- The opening of a delayed run that may be handed out although it is not due: nobody has begun it yet.
local function early_opening(lease, id, text)
  if not text or #text > MOST_BYTES or taken.ids[id] or open_runs[id] ~= nil or not find(id, ID) then return nil end
  local opening = opening_of(text)
  local head = opening and opening.head
  if not head or head.state ~= 'd' or head.attempt > 0 or head.suspect == '1' then return nil end
  if head.expires ~= '' and tonumber(head.expires) <= NOW then return nil end
  return can_run_early(lease, opening.task) and opening
end

-- Hands out up to `count` runs that are due within `EARLY_MS`, for the consumer to begin when they are; those too that came due
-- so shortly ago that nobody has made them ready.
local function claim_early(lease, count, token)
  local ids = call('ZRANGE', DELAYED, int(NOW - EARLY_MS), int(NOW + EARLY_MS), 'BYSCORE', 'LIMIT', 0, count)
  know_kind('zset', DELAYED)
  local gone, by_task = {}, {}
  for index, text in ipairs(get_many(RUNS, ids)) do
    local id = ids[index]
    local opening = early_opening(lease, id, text)
    if opening then
      local head = opening.head
      taken.ids[id] = true
      taken.claimed[#taken.claimed + 1] = id
      taken.claimed[#taken.claimed + 1] = early_head(head, lease.id) .. sub(text, opening.head_end)
      taken.holdings[#taken.holdings + 1] = id
      taken.holdings[#taken.holdings + 1] = token
      gone[#gone + 1] = id
      by_task[opening.task] = (by_task[opening.task] or 0) + 1
      if head.expires ~= '' then write('ZREM', EXPIRING, id) end
    end
  end
  taken.early = #gone
  for task, handed in pairs(by_task) do count_active(task, handed) end
  add_meta('pending', -#gone)
  add_meta('running', #gone)
  write_many('ZREM', DELAYED, gone)
end

-- Enters the incarnation among those to be woken, unless it will claim again by itself.
local function note_idle(lease, class, free, more)
  local key = idle_key(class, lease.manifest)
  if more then write('ZREM', key, lease.id) else write('ZADD', key, int(-free), lease.id) end
end

-- Hands out up to `wanted` runs by class; returns whether runs stay that this incarnation could run.
-- wanted: { io, cpu } or nil to look only. early: how many IO runs more that are not due yet, if nothing else waits for it.
local function claim(lease, wanted, early)
  local token, any_more, io_waits = int(meta.tokens + 1), false, meta.paused == 1
  cuts_lanes = true
  if meta.paused ~= 1 and wanted then
    for class, count in pairs(wanted) do
      if count > 0 then
        local before = #taken.holdings
        claim_suspect(lease, class, token)
        wanted[class] = count - (#taken.holdings - before) / 2
      end
    end
  end
  for _, class in ipairs({ 'io', 'cpu' }) do
    local count, more = wanted and wanted[class] or 0, false
    if meta.paused ~= 1 then
      local search = begin_search(lease, class)
      local handed = claim_from_lanes(lease, search, count, token)
      more = least_candidate(search) ~= nil or suspect_lane(lease, class) ~= nil
      if count > 0 then note_idle(lease, class, count - handed, more) end
    elseif count > 0 then
      note_idle(lease, class, count, false)
    end
    any_more = any_more or more
    if class == 'io' then io_waits = io_waits or more end
  end
  -- The last of all that are handed out: the reply says how many they are.
  if early > 0 and not io_waits then claim_early(lease, early, token) end
  for lane, count in pairs(offsets) do write('LTRIM', lane_key(lane), count, -1) end
  if #taken.holdings > 0 then set_meta('tokens', meta.tokens + 1) end
  write_many('HSET', RUNS, taken.claimed)
  write_many('HSET', lease.key, taken.holdings)
  if wanted then write('DEL', BASE .. 'wake:' .. lease.id) end
  return any_more, token
end
