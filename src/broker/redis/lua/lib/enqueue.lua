--- @include lib/runs
--- @include lib/lanes
--- @include lib/wake
-- enqueue.lua (library): makes runs. Used by enqueue.lua and fire.lua.

local ANSWER = { enqueued = 'e', duplicate = 'd', full = 'f' }

-- Makes one run; the caller has checked that nothing of that id is known and that the queue is not full.
-- id, body: as `encodeBody` made it. delay_ms: 0 or less is at once. expires_at: nil for never; not before it is due.
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

local plain_ids = {}

-- As `add_run` for a run that is ready at once, never expires and belongs to no schedule; false when it is not so.
-- Adds its id to `ids_of_lane[lane]`; the caller pushes those.
local function add_plain_run(id, body, ids_of_lane)
  if string.find(id, '@', 1, true) then return false end
  local identity_end = string.find(body, '\n', 1, true)
  local identity = identity_end and parse_identity(string.sub(body, 1, identity_end - 1))
  if not identity or identity.uid ~= '' then return false end
  put_plain(id, 'p;0;0;0;' .. NOW_TEXT .. ';;;;;\n\n' .. body)
  plain_ids[id] = true
  local ids = ids_of_lane[identity.lane]
  if not ids then
    ids = {}
    ids_of_lane[identity.lane] = ids
  end
  ids[#ids + 1] = id
  return true
end

local function push_waiting(waiting)
  add_meta('pending', waiting.count)
  for lane, ids in pairs(waiting.lanes) do
    local list = push_to(lane, false, #ids)
    for index = 1, #ids do list[#list + 1] = ids[index] end
  end
  waiting.count, waiting.lanes = 0, {}
end

-- Makes a run unless its id is known or the queue is full: answers 'enqueued', 'duplicate' or 'full'.
-- `known`: the text of the record of that id, false for none, as read by the caller before (HMGET for many at once).
-- expires_in_ms: nil for never, from its being ready.
-- `waiting`: what `push_waiting` is to be called with once all are made.
local function enqueue_run(id, known, body, delay_ms, expires_in_ms, waiting)
  if known or plain_ids[id] or open_runs[id] then return 'duplicate' end
  if meta.pending + waiting.count >= meta.maxPending then return 'full' end
  if delay_ms <= 0 and not expires_in_ms and add_plain_run(id, body, waiting.lanes) then
    waiting.count = waiting.count + 1
  else
    -- It may go into the same lane, behind those that came before it.
    if delay_ms <= 0 then push_waiting(waiting) end
    add_run(id, body, delay_ms, expires_in_ms and NOW + math.max(0, delay_ms) + expires_in_ms)
  end
  return 'enqueued'
end
