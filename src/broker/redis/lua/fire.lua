#!lua
--- @include lib/enqueue
--- @include lib/held
--- @include lib/mailbox
-- fire.lua: decides slots of many schedules, each exactly once: nothing -> pending or delayed, or a record of why not.
-- O(slots + runs in flight where Replace or Forbid asks for them).
-- Not allow-oom: a full Redis refuses it, nothing is changed, and the slots stay owed.
--
-- KEYS[1] the queue's meta hash
-- ARGV, for each schedule: uid, generation, policy (A | F | R), ms after which a run by hand expires or '', lane, options
--   of a slot up to and after the slot ('' after: the options do not name it), params, watermark that is expected or '',
--   number of entries; then each entry:
--     s;slot;ms that it is delayed after the later of slot and now;instant ms at which it expires or '';reason;ISO text of
--       the slot
--     m;from;to;count;exact (0 | 1);reason
--     t, run id, request as JSON, options, '1' and params of its own or '0' and '', ms after which it is skipped or '',
--       reason why it must not run or ''
--
-- Returns for each schedule { 'stale', generation, 1 when withdrawn }, { 'behind', 0, 0 } or { 'ok', watermark or '',
-- decisions with a space between }, where a decision is f;reason s;reason m;reason (fired, skipped, missed), d (duplicate) or r;why (refused)
local FUTURE_TOLERANCE_MS = 150
local FORBID_SAMPLE = 8
local REPLACED = '"Replaced"'

-- Records of the runs that the slots of this call would make, read at once: id -> text.
local known_runs = {}

local function read_known_runs()
  local ids, at = {}, 1
  while ARGV[at + 9] do
    local uid, entry_at = ARGV[at], at + 10
    for _ = 1, tonumber(ARGV[at + 9]) or 0 do
      local iso = string.match(ARGV[entry_at] or '', '^s;.*;([^;]+)$')
      if iso then ids[#ids + 1] = uid .. '@' .. iso end
      entry_at = entry_at + (ARGV[entry_at] == 't' and 8 or 1)
    end
    at = entry_at
  end
  for index, text in ipairs(get_many(RUNS, ids)) do known_runs[ids[index]] = text end
end

local has_replaced = false
local position = 0
local function take()
  position = position + 1
  local text = ARGV[position]
  if not text then refuse('TIDEMILL_ARGUMENT', 'a request to fire is cut short') end
  return text
end

-- Ids in flight as this script has left them; those whose runs were lost or have ended (data mended by hand) are dropped.
local function living_of(schedule, ids)
  local runs, living, gone = load_runs(ids), {}, {}
  for index, id in ipairs(ids) do
    local state = runs[index] and runs[index].head.state
    if state == 'p' or state == 'd' or state == 'r' then living[#living + 1] = runs[index] else gone[#gone + 1] = id end
  end
  write_many('SREM', inflight_key(schedule.uid), gone)
  return living, #gone
end

-- Runs that this script has enqueued or withdrawn are not in the stored set yet, or still.
local function count_in_flight(schedule)
  if not schedule.in_flight then
    local key = inflight_key(schedule.uid)
    schedule.in_flight = call('SCARD', key)
    know_kind('set', key)
    schedule.added = {}
  end
  return schedule.in_flight
end

local function is_in_flight(schedule)
  if count_in_flight(schedule) == 0 then return false end
  if #schedule.added > 0 or schedule.is_checked then return true end
  schedule.is_checked = true
  local sample = call('SRANDMEMBER', inflight_key(schedule.uid), FORBID_SAMPLE)
  local living, gone = living_of(schedule, sample)
  schedule.in_flight = schedule.in_flight - gone
  return #living > 0 or schedule.in_flight > 0
end

local function runs_in_flight(schedule)
  if not schedule.living then
    count_in_flight(schedule)
    schedule.living = living_of(schedule, call('SMEMBERS', inflight_key(schedule.uid)))
    for _, run in ipairs(schedule.added) do schedule.living[#schedule.living + 1] = run end
  end
  return schedule.living
end

-- Whether one more run may be enqueued: true and the reason to log, or false and why not. With Replace, the runs in flight
-- are ended, but only when the new one finds room.
local function admit(schedule, policy, reason)
  if policy == 'F' and is_in_flight(schedule) then return false, 'Overlap' end
  local in_flight, waiting, replaced = count_in_flight(schedule), meta.pending, {}
  if policy == 'R' then
    replaced = runs_in_flight(schedule)
    in_flight = 0
    for _, run in ipairs(replaced) do
      if run.head.state ~= 'r' then waiting = waiting - 1 end
    end
  end
  if waiting >= meta.maxPending or in_flight >= meta.maxPendingPerSchedule then return false, 'Backlog' end
  if #replaced == 0 then return true, reason end
  -- In the order of their ids, which is that of their slots: the newest is the last run that the schedule shows.
  table.sort(replaced, function(a, b) return a.id < b.id end)
  for _, run in ipairs(replaced) do take_out(run, REPLACED, true) end
  has_replaced = true
  schedule.in_flight, schedule.living, schedule.added = 0, {}, {}
  return true, 'Replaced'
end

local function enqueue_for(schedule, request, id, options, params, delay_ms, expires_at, slot_text)
  local body = request.lane .. ';' .. schedule.uid .. ';' .. slot_text .. '\n' .. options .. '\n' .. params
  local run = add_run(id, body, delay_ms, expires_at)
  schedule.in_flight = schedule.in_flight + 1
  schedule.added[#schedule.added + 1] = run
  if schedule.living then schedule.living[#schedule.living + 1] = run end
end

-- Why a slot or range may not be decided now: 'd' or 'r;…'; nil when it may.
local function refusal(schedule, from, to)
  local watermark = schedule.watermark
  if watermark and to <= watermark then return 'd' end
  if watermark and from <= watermark then return 'r;watermark' end
  if from < schedule.not_before then return 'r;not-before' end
  if schedule.is_suspended then return 'r;suspended' end
  if to > NOW + FUTURE_TOLERANCE_MS then return 'r;future' end
end

local function move_watermark(schedule, text)
  schedule.watermark = tonumber(text)
  change_schedule(schedule, 'watermarkMs', text)
end

-- Whether a slot that is still ahead is decided now as it would be when it comes, whatever ends until then.
local function is_unopposed(schedule, policy)
  local in_flight = count_in_flight(schedule)
  return (policy == 'A' or in_flight == 0) and meta.pending < meta.maxPending and in_flight < meta.maxPendingPerSchedule
end

local function decide_slot(schedule, request, entry)
  local slot, delay_ms, expires_at, reason, iso = string.match(entry, '^s;(%d+);(%d+);(%d*);(%a*);(.+)$')
  if not slot then refuse('TIDEMILL_ARGUMENT', 'a slot is malformed') end
  local refused = refusal(schedule, tonumber(slot), tonumber(slot))
  if refused then return refused end
  local ahead_ms = math.max(0, tonumber(slot) - NOW)
  if ahead_ms > 0 and not is_unopposed(schedule, request.policy) then return 'r;ahead' end
  move_watermark(schedule, slot)
  local id = schedule.uid .. '@' .. iso
  -- Its run is there although the watermark is not: a Redis that lost writes. The slot was fired.
  if open_runs[id] or known_runs[id] then return 'd' end
  local is_admitted, why = admit(schedule, request.policy, reason)
  if is_admitted then
    local options = request.options_tail == '' and request.options or request.options .. slot .. request.options_tail
    enqueue_for(schedule, request, id, options, request.params, ahead_ms + tonumber(delay_ms), tonumber(expires_at), slot)
  end
  log_decision(schedule, is_admitted and 'fired' or 'skipped', why, slot, slot, 1, '1', '')
  return (is_admitted and 'f;' or 's;') .. why
end

local function decide_missed(schedule, entry)
  local from, to, count, exact, reason = string.match(entry, '^m;(%d+);(%d+);(%d+);([01]);(%a+)$')
  if not from then refuse('TIDEMILL_ARGUMENT', 'a missed range is malformed') end
  local refused = refusal(schedule, tonumber(from), tonumber(to))
  if refused then return refused end
  move_watermark(schedule, to)
  log_decision(schedule, 'missed', reason, from, to, tonumber(count), exact, '')
  return 'm;' .. reason
end

local function decide_trigger(schedule, request)
  local id, by_hand, options, has_params, params = take(), take(), take(), take(), take()
  local not_after, unfit = tonumber(take()), take()
  mailbox.drop({ mailbox.member(schedule.uid, by_hand) })
  if has_request(schedule, by_hand) or open_runs[id] or call('HEXISTS', RUNS, id) == 1 then return 'd' end
  if not_after and NOW > not_after then unfit = 'DeadlineExceeded' end
  if unfit ~= '' then
    log_decision(schedule, 'skipped', unfit, NOW_TEXT, NOW_TEXT, 1, '1', by_hand)
    remember_request(schedule, by_hand)
    return 's;' .. unfit
  end
  local is_admitted, why = admit(schedule, request.policy, 'Triggered')
  if is_admitted then
    why = 'Triggered'
    local expires_at = request.expires_in and NOW + request.expires_in
    enqueue_for(schedule, request, id, options, has_params == '1' and params or request.params, 0, expires_at, '')
  end
  log_decision(schedule, is_admitted and 'fired' or 'skipped', why, NOW_TEXT, NOW_TEXT, 1, '1', by_hand)
  remember_request(schedule, by_hand)
  return (is_admitted and 'f;' or 's;') .. why
end

local function decide(schedule, request)
  local entry = take()
  local kind = string.sub(entry, 1, 1)
  if kind == 't' then return decide_trigger(schedule, request) end
  if kind == 's' then return decide_slot(schedule, request, entry) end
  return decide_missed(schedule, entry)
end

-- Passes over the entry that comes next.
local function skip()
  if take() == 't' then position = position + 7 end
end

local function fire()
  local schedule = open_schedule(take())
  local request = {
    generation = tonumber(take()), policy = take(), expires_in = tonumber(take()), lane = take(), options = take(),
    options_tail = take(), params = take(), expected = tonumber(take()), count = tonumber(take()),
  }
  if not schedule.is_known or schedule.withdrawn_at or schedule.generation ~= request.generation then
    for _ = 1, request.count do skip() end
    return { 'stale', int(schedule.generation), schedule.withdrawn_at and 1 or 0 }
  end
  if request.expected and (schedule.watermark or -math.huge) < request.expected then
    for _ = 1, request.count do skip() end
    return { 'behind', 0, 0 }
  end
  local decisions, is_half_decided = {}, false
  for index = 1, request.count do
    if is_half_decided then
      -- What follows would move the watermark over slots that nobody has decided.
      skip()
      decisions[index] = 'r;watermark'
    else
      decisions[index] = decide(schedule, request)
      is_half_decided = decisions[index] == 'r;watermark' or decisions[index] == 'r;ahead'
    end
  end
  return { 'ok', schedule.watermark and int(schedule.watermark) or '', table.concat(decisions, ' ') }
end

read_known_runs()
local replies = {}
while position < #ARGV do replies[#replies + 1] = fire() end
if has_replaced then
  -- Trimmed after the first write, when nothing may fail any more.
  check_kind('list', DONE)
  check_kind('list', DEAD)
  check_kind('hash', REDRIVEN)
end
wake_arrivals()
commit()
if has_replaced and trim_history(64) > 0 then commit() end
return replies
