#!lua flags=allow-oom
--- @include lib/settle
--- @include lib/claim
-- cycle.lua: running -> ended, delayed or pending; pending -> running. Settles, claims, and renews the lease.
-- O(runs settled + runs claimed + lanes looked at).
--
-- KEYS[1] the queue's meta hash
-- ARGV[1] incarnation; ARGV[2], ARGV[3] free slots of io and cpu, both '' to claim nothing; then groups (lib/settle.lua)
--
-- Returns { 'held' | 'gone', answers (a letter a run), token of all claimed runs, { id, record, … },
--   why claiming failed or '', { id to cancel, reason, … }, 1 when more could be claimed, next due ms or '', now ms }
local lease = open_lease(ARGV[1])
if not lease then
  local ids = read_groups(4)
  return { 'gone', string.rep('u', #ids), '', {}, '', {}, 0, '', NOW_TEXT }
end
-- Whoever calls needs no waking.
woken[lease.id] = true
renew(lease)
local answers, gone = settle_all(lease, 4)
if gone > 0 then trim_history(gone + 16, true) end
commit()

-- When this incarnation should look after what becomes due. One at a time has this duty: if all waited for the same
-- instant, all would come.
local function due_for()
  local due = #taken.holdings == 0 and next_due() or next_run_due()
  if not due then return '' end
  local holder = call('HGET', KEYS[1], 'duty')
  local is_taken = holder and holder ~= lease.id and meta.dutyAtMs <= due and NOW < meta.dutyAtMs + DUTY_GRACE_MS
  if is_taken and call('ZSCORE', LEASES, holder) then return '' end
  if holder ~= lease.id or meta.dutyAtMs ~= due then
    set_meta('duty', lease.id)
    set_meta('dutyAtMs', due)
  end
  return int(due)
end

local function claim_part()
  local wanted = ARGV[2] ~= '' and { io = tonumber(ARGV[2]), cpu = tonumber(ARGV[3]) } or nil
  local more, token = claim(lease, wanted)
  local due = due_for()
  local cancellations = cancellations_of(lease)
  wake_arrivals()
  -- Others may be idle although the transition that made the work ready woke enough: one of those may have died.
  if more and wanted then nudge() end
  commit()
  return { 'held', answers, token, taken.claimed, '', cancellations, more and 1 or 0, due, NOW_TEXT }
end

local is_ok, reply = pcall(claim_part)
if is_ok then return reply end
discard()
-- What was settled stays settled; the consumer hears why nothing was claimed.
local reason = type(reply) == 'table' and reply.err or tostring(reply)
return { 'held', answers, '', {}, reason, {}, 0, '', NOW_TEXT }
