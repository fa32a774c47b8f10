--- @include lib/runs
--- @include lib/lanes
--- @include lib/wake
-- finish.lua: how runs leave a state, go back, and end; retention; what a schedule is told.

local DELAYED, EXPIRING = BASE .. 'delayed', BASE .. 'expiring'
local DONE, DEAD = BASE .. 'done', BASE .. 'dead'
local OUTCOMES = BASE .. 'outcomes'
local REDRIVEN = BASE .. 'redriven'
local OUTCOMES_KEPT = 500

-- Takes a run out of what its state had put it into: counters, its lane, delayed, expiring.
-- The held hash is the caller's business.
local function leave_state(run)
  local state = run.head.state
  if state == 'r' then
    add_meta('running', -1)
    count_active(run.task, -1)
    return
  end
  add_meta('pending', -1)
  if state == 'p' then
    leave_lane(lane_of(run), run.id)
  elseif state == 'd' then
    write('ZREM', DELAYED, run.id)
  end
  if run.head.expires ~= '' then write('ZREM', EXPIRING, run.id) end
end

-- Puts a run that is in no state into its lane (change.due nil), or into the delayed set.
-- change: fields of the head; front: at the front of its lane; outcome: replaces the text of the last error.
local function put_waiting(run, change, front, outcome)
  add_meta('pending', 1)
  local due = change.due
  change.state = due and 'd' or 'p'
  change.due = due and int(due) or nil
  put_run(run, make_head(run.head, change), outcome)
  if due then
    write('ZADD', DELAYED, int(due), run.id)
    note_due(due)
  else
    lane_push(lane_of(run), run.id, front)
  end
  if run.head.expires ~= '' and run.head.attempt == 0 then
    write('ZADD', EXPIRING, run.head.expires, run.id)
    note_due(tonumber(run.head.expires))
  end
end

local ended = { done = {}, dead = {}, all = {} }
local schedules = {} -- uid -> { changes = fields to write, gone = ids to take from the in-flight set }
local STATE_COUNT = { s = 'succeeded', f = 'failed' }
local TOLD_FIELDS = { 'generation', 'succeeded', 'failed' }
local LAST_AT = { s = 'lastSucceededAtMs', f = 'lastFailedAtMs' }

-- head_text, error_text, slot: of the run that ended.
local function tell_schedule(uid, id, state, head_text, error_text, slot)
  if uid == '' then return end
  local schedule = schedules[uid]
  if not schedule then
    local stored = get_many(BASE .. 'schedule:' .. uid, TOLD_FIELDS)
    schedule = {
      known = stored[1] ~= false, changes = {}, gone = {},
      succeeded = number_of(stored[2]) or 0, failed = number_of(stored[3]) or 0,
    }
    schedules[uid] = schedule
  end
  schedule.gone[#schedule.gone + 1] = id
  if not schedule.known then return end
  local count = STATE_COUNT[state]
  if count then
    schedule[count] = schedule[count] + 1
    schedule.changes[count] = int(schedule[count])
    schedule.changes[LAST_AT[state]] = NOW_TEXT
  end
  schedule.changes.lastRun = id .. '\n' .. head_text .. '\n' .. error_text .. '\n' .. slot
end

local ended_heads = { s = {}, f = {}, c = {}, x = {} } -- runs of one claim end with the same head text

local function ended_head(head, state)
  local text = ended_heads[state][head]
  if not text then
    text = make_head(head, { state = state, suspect = '0', ended = NOW_TEXT })
    ended_heads[state][head] = text
  end
  return text
end

-- Ends many runs that succeeded: what `finish` does, at a tenth of the cost.
-- Begin with `succeed_plain` for each, then `count_succeeded` once.
local plain = { count = 0, bytes = 0, by_task = {} }

-- Returns false when the run is not as plain as that; then nothing was done.
local function succeed_plain(id, text, result)
  if open_runs[id] ~= nil then return false end
  local opening, is_alone = opening_of(text)
  if not opening or opening.head.state ~= 'r' then return false end
  local head = ended_head(opening.head, 's')
  if not is_alone then
    local uid, slot = string.match(text, '^([^;\n]*);([^;\n]*)\n', #opening.text + 1)
    tell_schedule(uid, id, 's', head, '', slot)
  end
  local new_text = head .. '\n' .. result .. sub(text, opening.outcome_end)
  put_plain(id, new_text)
  ended.done[#ended.done + 1] = id
  ended.all[#ended.all + 1] = id
  plain.count = plain.count + 1
  plain.bytes = plain.bytes + size_of(id, new_text)
  plain.by_task[opening.task] = (plain.by_task[opening.task] or 0) + 1
  return true
end

local function count_succeeded()
  add_meta('running', -plain.count)
  add_meta('bytesSucceeded', plain.bytes)
  for task, count in pairs(plain.by_task) do count_active(task, -count) end
  plain = { count = 0, bytes = 0, by_task = {} }
end

-- Ends a run. state: s, f, c or x; outcome: see record.ts, '' for none.
-- The record's last move: what comes after is only retention.
local function finish(run, state, outcome)
  leave_state(run)
  put_run(run, ended_head(run.head, state), outcome)
  local list = state == 'f' and ended.dead or ended.done
  list[#list + 1] = run.id
  ended.all[#ended.all + 1] = run.id
  add_meta(state == 'f' and 'bytesFailed' or 'bytesSucceeded', size_of(run.id, run.text))
  local head_text = string.sub(run.text, 1, run.head_end - 1)
  tell_schedule(run.uid, run.id, state, head_text, state == 'f' and outcome or '', run.slot)
end

local BURIED_BYTES = 65536
local MALFORMED = '{"reason":"MalformedRecord","name":"MalformedRecord",'
  .. '"message":"the record of this run cannot be read, or its id is none; the text, up to 64 KiB, is kept as the params"}'

-- Ends a record that cannot be read as failed, so that someone sees it, and it stops nobody.
-- lane: where it was found, or where it would have gone. state: p for what stood in that lane, d for what was delayed.
local function bury(id, lane, state, text)
  local body = 'm:' .. string.sub(lane, 3) .. ';;\n{"source":"unknown"}\n' .. string.sub(text, 1, BURIED_BYTES)
  local run = parse_run(id, state .. ';0;0;0;' .. NOW_TEXT .. ';;;;;\n\n' .. body)
  run.lane = lane
  open_runs[id] = run
  finish(run, 'f', MALFORMED)
end

before_commit[#before_commit + 1] = function()
  write_many('RPUSH', DONE, ended.done)
  write_many('RPUSH', DEAD, ended.dead)
  if #ended.all > 0 then
    write('XADD', OUTCOMES, 'MAXLEN', '~', OUTCOMES_KEPT, '*', 'ids', table.concat(ended.all, ' '))
  end
  ended = { done = {}, dead = {}, all = {} }
  for uid, schedule in pairs(schedules) do
    write_many('SREM', BASE .. 'inflight:' .. uid, schedule.gone)
    local fields = {}
    for field, value in pairs(schedule.changes) do
      fields[#fields + 1] = field
      fields[#fields + 1] = value
    end
    write_many('HSET', BASE .. 'schedule:' .. uid, fields)
  end
  schedules = {}
end

-- What trimming asks of a record: its head, and its size as `size_of` counts. nil when it is gone or cannot be read.
-- Once a queue has its full history, one is dropped for each that ends: most were settled together and begin alike.
local function kept_record(id, text)
  local run = open_runs[id]
  if run then return run.head, size_of(id, run.text) end
  local opening = run == nil and text and opening_of(text)
  if opening then return opening.head, size_of(id, text) end
end

local function is_kept_in(list, head)
  if not head then return false end
  local state = head.state
  if list == DEAD then return state == 'f' end
  return state == 's' or state == 'c' or state == 'x'
end

-- An entry of a run that was redriven since is void; each is stepped over once.
local function is_void(id, redriven)
  local count = redriven[id]
  if count == nil then count = number_of(call('HGET', REDRIVEN, id)) or 0 end
  redriven[id] = math.max(0, count - 1)
  if count == 1 then write('HDEL', REDRIVEN, id) elseif count > 1 then write('HSET', REDRIVEN, id, int(count - 1)) end
  if count > 0 then add_meta('voidFailures', -1) end
  return count > 0
end

-- Drops what is over the budget or too old, at most `limit` entries of one list, those that this script is about to add
-- included; returns how many records went.
local function trim_list(list, pending, bytes_field, budget, kept_ms, limit)
  local has_void = list == DEAD and call('HLEN', REDRIVEN) > 0
  local function is_over(head)
    return meta[bytes_field] > budget or NOW - (tonumber(head.ended) or 0) >= kept_ms
  end
  local oldest_id = call('LINDEX', list, 0)
  know_kind('list', list)
  if not oldest_id then
    oldest_id = pending[1]
    if not oldest_id then return 0 end
    open_plain_records()
  end
  local oldest = kept_record(oldest_id, call('HGET', RUNS, oldest_id))
  if not has_void and is_kept_in(list, oldest) and not is_over(oldest) then return 0 end

  local ids, redriven, dropped, passed = call('LRANGE', list, 0, limit - 1), {}, {}, 0
  local stored = #ids
  if stored < limit then
    open_plain_records()
    for _, id in ipairs(pending) do ids[#ids + 1] = id end
  end
  local texts = get_many(RUNS, ids)
  for index, id in ipairs(ids) do
    local head, size = kept_record(id, texts[index])
    local is_stale = (has_void and is_void(id, redriven)) or not is_kept_in(list, head)
    if not is_stale and not is_over(head) then break end
    passed = index
    if not is_stale then
      dropped[#dropped + 1] = id
      add_meta(bytes_field, -size)
      open_runs[id] = false
      changed_records[id] = nil
    end
  end
  if passed > 0 and stored > 0 then write('LTRIM', list, math.min(passed, stored), -1) end
  for _ = stored + 1, passed do table.remove(pending, 1) end
  write_many('HDEL', RUNS, dropped)
  return #dropped
end

-- Keeps ended runs within age and budget; returns how many records were dropped. To be called before `commit`.
-- only_grown: leaves alone the list to which this script adds nothing. It cannot have come over its budget, and what is
-- too old there goes when its time comes (`next_retention_due`).
local function trim_history(limit, only_grown)
  local dropped = 0
  if not only_grown or #ended.done > 0 then
    dropped = trim_list(DONE, ended.done, 'bytesSucceeded', meta.retainSucceededBytes, meta.retainSucceededMs, limit)
  end
  if not only_grown or #ended.dead > 0 then
    dropped = dropped + trim_list(DEAD, ended.dead, 'bytesFailed', meta.retainFailedBytes, meta.retainFailedMs, limit)
  end
  return dropped
end

-- When the oldest ended run is past its age; nil when none is kept.
local function next_retention_due()
  local due
  for list, kept_ms in pairs({ [DONE] = meta.retainSucceededMs, [DEAD] = meta.retainFailedMs }) do
    local id = call('LINDEX', list, 0)
    local run = id and load_runs({ id })[1]
    if run then
      local at = (tonumber(run.head.ended) or 0) + kept_ms
      if not due or at < due then due = at end
    end
  end
  return due
end

local function next_due()
  local runs, retention = next_run_due(), next_retention_due()
  if runs and retention then return math.min(runs, retention) end
  return runs or retention
end
