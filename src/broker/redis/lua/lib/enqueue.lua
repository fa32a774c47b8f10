--- @include lib/runs
--- @include lib/lanes
--- @include lib/wake
-- enqueue.lua (library): makes runs. Used by enqueue.lua and fire.lua.

-- Makes one run; the caller has checked that nothing of that id is known and that the queue is not full.
-- body: `identity\noptions\nparams`. delay_ms: 0 or less is at once. expires_at: nil for never; not before it is due.
-- Writes nothing before `commit`.
local function add_run(id, body, delay_ms, expires_at)
  local due = delay_ms > 0 and NOW + delay_ms or nil
  local expires = expires_at and int(math.max(expires_at, due or NOW)) or ''
  local head = (due and 'd' or 'p') .. ';0;0;0;' .. NOW_TEXT .. ';' .. (due and int(due) or '') .. ';' .. expires .. ';;;'
  local run = parse_run(id, head .. '\n\n' .. body)
  if not run then refuse('TIDEMILL_ARGUMENT', 'the body of a run is malformed') end
  open_runs[id] = run
  changed_records[id] = run.text
  add_meta('pending', 1)
  if due then
    write('ZADD', BASE .. 'delayed', int(due), id)
    note_due(due)
    if due <= NOW + EARLY_MS then note_early(run.task) end
  else
    lane_push(run.lane, id, false)
  end
  if expires ~= '' then
    write('ZADD', BASE .. 'expiring', expires, id)
    note_due(tonumber(expires))
  end
  if run.uid ~= '' then write('SADD', BASE .. 'inflight:' .. run.uid, id) end
  return run
end

-- Words of a group of runs: 'at' | 'after', ms, ms to their expiry or '', what stands before their params (`encodePreamble`),
-- their ids with a space between, and their params, each with a newline behind it.
local GROUP_WORDS = 6

-- The group at ARGV[index]; adds its ids to the list.
local function read_group(index, ids)
  local ms, preamble, texts, params = tonumber(ARGV[index + 1]), ARGV[index + 3], ARGV[index + 4], ARGV[index + 5]
  local first, count, from = #ids + 1, #ids, 1
  local space = texts and find(texts, ' ', 1, true)
  while space do
    count = count + 1
    ids[count] = sub(texts, from, space - 1)
    from = space + 1
    space = find(texts, ' ', from, true)
  end
  if not ms or not params or not find(preamble, '^[^\n]+\n[^\n]*\n$') then
    refuse('TIDEMILL_ARGUMENT', 'a group of runs is malformed')
  end
  ids[count + 1] = sub(texts, from)
  return {
    delay_ms = ARGV[index] == 'at' and ms - NOW or ms, expires = tonumber(ARGV[index + 2]), preamble = preamble,
    params = params, first = first, last = count + 1,
  }
end

-- Where the params that begin at `from` end.
local function params_end(params, from)
  return find(params, '\n', from, true) or refuse('TIDEMILL_ARGUMENT', 'a run has no params')
end

local plain_ids = {}

-- Runs of a group that are ready at once, never expire and belong to no schedule: at a fraction of the cost of `add_run`.
-- Returns where the params of the group go on.
local function enqueue_plain(group, lane, ids, known, answers)
  local opening = 'p;0;0;0;' .. NOW_TEXT .. ';;;;;\n\n' .. group.preamble
  local params, from, fields, waiting = group.params, 1, plain_records, {}
  local room, made, last = meta.maxPending - meta.pending, 0, #fields
  for index = group.first, group.last do
    local id, stop = ids[index], params_end(params, from)
    if known[index] or plain_ids[id] or open_runs[id] then
      answers[index] = 'd'
    elseif made >= room then
      answers[index] = 'f'
    else
      answers[index] = 'e'
      plain_ids[id] = true
      made = made + 1
      waiting[made] = id
      fields[last + 1], fields[last + 2] = id, opening .. sub(params, from, stop - 1)
      last = last + 2
    end
    from = stop + 1
  end
  add_meta('pending', made)
  if made == 0 then return from end
  local list = push_to(lane, false, made)
  local before = #list
  for index = 1, made do list[before + index] = waiting[index] end
  return from
end

-- Runs of any other group.
local function enqueue_each(group, ids, known, answers)
  local expires_at = group.expires and NOW + math.max(0, group.delay_ms) + group.expires
  local from = 1
  for index = group.first, group.last do
    local id, stop = ids[index], params_end(group.params, from)
    if known[index] or plain_ids[id] or open_runs[id] then
      answers[index] = 'd'
    elseif meta.pending >= meta.maxPending then
      answers[index] = 'f'
    else
      add_run(id, group.preamble .. sub(group.params, from, stop - 1), group.delay_ms, expires_at)
      answers[index] = 'e'
    end
    from = stop + 1
  end
  return from
end

-- Makes the runs of a group, unless their ids are known (`known`: their records as read before, false for none) or the queue
-- is full: one letter for each in `answers`, e (enqueued), d (duplicate) or f (full).
local function enqueue_group(group, ids, known, answers)
  local identity = parse_identity(string.match(group.preamble, '^[^\n]+'))
  local is_plain = identity and identity.uid == '' and group.delay_ms <= 0 and not group.expires
  local stop = is_plain and enqueue_plain(group, identity.lane, ids, known, answers)
    or enqueue_each(group, ids, known, answers)
  if stop <= #group.params then refuse('TIDEMILL_ARGUMENT', 'a group has more params than ids') end
end
