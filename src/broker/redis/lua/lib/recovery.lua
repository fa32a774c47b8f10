--- @include lib/manifests
-- recovery.lua: how incarnations end, and how what they held goes back, in chunks.
--
-- Ending renames the held hash: from that instant on every settle of the incarnation finds nothing. The renamed hash stands
-- in `dying` with the cursor of the scan; each chunk removes what it has dealt with. A scan that began anew at cursor 0 on
-- a thinned hash would return empty chunks, so the cursor is kept.

local DYING = BASE .. 'dying'
local SCAN = 100

local batches = {} -- { serial, mode, cursor, incarnation, source = key to scan }

-- mode: d (died: its runs become suspects) or l (left: they go back as they were, no attempt used).
local function end_incarnation(lease, mode)
  set_meta('tokens', meta.tokens + 1)
  local serial = int(meta.tokens)
  write('RENAME', lease.key, BASE .. 'fenced:' .. serial)
  -- The renaming is only queued, so this script still finds the runs under their old name.
  batches[#batches + 1] = { serial = serial, mode = mode, cursor = '0', incarnation = lease.id, source = lease.key }
  forget_incarnation(lease.id, lease.manifest)
end

local function load_dying()
  local dying = call('HGETALL', DYING)
  for index = 1, #dying, 2 do
    local mode, cursor, incarnation = string.match(dying[index + 1], '^(%l);(%d+);(.*)$')
    if mode and #cursor <= INSTANT_DIGITS then
      local serial = dying[index]
      batches[#batches + 1] = {
        serial = serial, mode = mode, cursor = cursor, incarnation = incarnation, source = BASE .. 'fenced:' .. serial,
      }
    end
  end
end

local TOO_MANY = '{"reason":"TooManyDeliveries","name":"TooManyDeliveries","message":"ended %d processes while it was the '
  .. 'only suspect in each; redrive it once the task is mended"}'

-- A run that its process died with comes back as a suspect; one that killed too many as the only suspect does not.
local function return_from_dead(run, reason, report)
  local deaths = run.head.deaths + (run.head.suspect == '1' and 1 or 0)
  local change = { suspect = '1', deaths = deaths }
  if not reason and deaths >= meta.maxDeliveries then
    put_run(run, make_head(run.head, { deaths = deaths }))
    finish(run, 'f', string.format(TOO_MANY, deaths))
    report.dead[#report.dead + 1] = run.id
    report.dead[#report.dead + 1] = run.task
  elseif go_back(run, reason, change, false) ~= 'c' then
    report.returned = report.returned + 1
  end
end

local function return_from_left(run, reason)
  go_back(run, reason, { attempt = math.max(0, run.head.attempt - 1) }, true)
end

local function drain_page(batch, report)
  local page = call('HSCAN', batch.source, batch.cursor, 'COUNT', SCAN)
  local ids, holdings, removed = {}, {}, {}
  for index = 1, #page[2], 2 do
    local id = page[2][index]
    removed[#removed + 1] = id
    if string.sub(id, 1, 1) ~= ' ' then
      ids[#ids + 1] = id
      holdings[#holdings + 1] = page[2][index + 1]
    end
  end
  for index, run in ipairs(load_runs(ids)) do
    local token, reason = parse_holding(holdings[index])
    if run and token ~= '' and run.head.state == 'r' and run.head.incarnation == batch.incarnation then
      if batch.mode == 'd' then return_from_dead(run, reason, report) else return_from_left(run, reason) end
    end
  end
  write_many('HDEL', BASE .. 'fenced:' .. batch.serial, removed)
  batch.cursor = page[1]
  report.looked_at = report.looked_at + #removed
end

-- Gives back up to about `limit` runs of ended incarnations; returns whether any are left. Queues, and does not commit.
local function drain_dying(limit, report)
  local more = false
  for _, batch in ipairs(batches) do
    local is_done = false
    while not is_done and report.looked_at < limit do
      drain_page(batch, report)
      is_done = batch.cursor == '0'
    end
    if is_done then
      write('HDEL', DYING, batch.serial)
      write('DEL', BASE .. 'fenced:' .. batch.serial)
    else
      more = true
      write('HSET', DYING, batch.serial, batch.mode .. ';' .. batch.cursor .. ';' .. batch.incarnation)
    end
  end
  return more
end
