--- @include lib/claim
-- cycle.lua (library): what a claim is answered with. Used by cycle.lua and claim.lua.

-- When this incarnation should look after what becomes due. One at a time has this duty: if all waited for the same
-- instant, all would come.
local function due_for(lease)
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

-- Claims, and answers for what was settled before. wanted: { io, cpu } or nil to claim nothing; early: as for `claim`.
local function claim_and_answer(lease, answers, wanted, early)
  local function claim_part()
    local more, token = claim(lease, wanted, early)
    local due = due_for(lease)
    local cancellations = cancellations_of(lease)
    wake_arrivals()
    -- Others may be idle although the transition that made the work ready woke enough: one of those may have died.
    if more and wanted then nudge() end
    commit()
    return { 'held', answers, token, taken.claimed, '', cancellations, more and 1 or 0, due, NOW_TEXT, taken.early }
  end
  local is_ok, reply = pcall(claim_part)
  if is_ok then return reply end
  discard()
  -- What was settled stays settled; the consumer hears why nothing was claimed.
  local reason = type(reply) == 'table' and reply.err or tostring(reply)
  return { 'held', answers, '', {}, reason, {}, 0, '', NOW_TEXT, 0 }
end
