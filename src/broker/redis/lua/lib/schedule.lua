--- @include lib/base
-- schedule.lua: a schedule as scripts see it: its hash, its runs in flight, its decision log.
--
-- A script opens each schedule once and works on the opened table, so that a schedule that comes twice in one call is
-- decided by what the first time left. `commit` writes what has changed. Texts: schedule-text.ts.

local LOG_CAP, ERA_CAP, REQUESTS_KEPT = 1000, 32, 32
local TOMBSTONES = BASE .. 'tombstones'

local SCHEDULE_FIELDS = {
  'generation', 'withdrawnAtMs', 'suspended', 'notBeforeMs', 'watermarkMs', 'fired', 'skipped', 'missed', 'requests',
  'install',
}
local opened_schedules = {} -- uid -> schedule

local function schedule_key(uid) return BASE .. 'schedule:' .. uid end
local function log_key(uid) return BASE .. 'decisions:' .. uid end
local function eras_key(uid) return BASE .. 'eras:' .. uid end
local function inflight_key(uid) return BASE .. 'inflight:' .. uid end

-- { uid, key, is_known, generation, withdrawn_at, is_suspended, not_before, watermark, counts, requests, install, log, changes }
local function open_schedule(uid)
  local schedule = opened_schedules[uid]
  if schedule then return schedule end
  local key = schedule_key(uid)
  local stored = get_many(key, SCHEDULE_FIELDS)
  local function number(index) return tonumber(stored[index] or nil) end
  schedule = {
    uid = uid, key = key, is_known = stored[1] ~= false, generation = number(1) or 0, withdrawn_at = number(2),
    is_suspended = stored[3] == '1', not_before = number(4) or 0, watermark = number(5),
    counts = { fired = number(6) or 0, skipped = number(7) or 0, missed = number(8) or 0 },
    requests = stored[9] or '', install = stored[10] or '', changes = {},
    log = {}, -- records of this script; the first continues the stored tail when `continues`
  }
  opened_schedules[uid] = schedule
  return schedule
end

-- As `open_schedule`, for scripts that read these keys after they have written: nothing may fail any more then.
local function open_schedule_checked(uid)
  check_kind('list', log_key(uid))
  check_kind('set', inflight_key(uid))
  return open_schedule(uid)
end

-- What is stored: { runs in flight, field, value, … }; { 0 } for a schedule that was never adopted.
local function stored_state(uid)
  local reply = { call('SCARD', inflight_key(uid)) }
  for position, text in ipairs(call('HGETALL', schedule_key(uid))) do reply[position + 1] = text end
  return reply
end

local function change_schedule(schedule, field, text) schedule.changes[field] = text end

-- Ends the era in force. at: text of the ms. An era that this script began is queued and not stored yet, so the last one is
-- kept at hand.
local function close_era(schedule, at)
  local key = eras_key(schedule.uid)
  check_kind('list', key)
  schedule.last_era = schedule.last_era or call('LINDEX', key, -1) or ''
  local head, until_ms, rest = string.match(schedule.last_era, '^(%d+;%d+;)(%d*)(;.*)$')
  if not head or until_ms ~= '' then return end
  schedule.last_era = head .. at .. rest
  write('LSET', key, -1, schedule.last_era)
end

-- from: text of the ms at which it begins, and the one before it ends
local function begin_era(schedule, generation, suspended, spec, from)
  close_era(schedule, from)
  local key = eras_key(schedule.uid)
  schedule.last_era = generation .. ';' .. from .. ';;' .. suspended .. ';' .. spec
  write('RPUSH', key, schedule.last_era)
  write('LTRIM', key, -ERA_CAP, -1)
end

local LETTERS = { fired = 'f', skipped = 's', missed = 'm' }
local RECORD = '^(%d+);(%d+);(%d+);([01]);([fsm]);(%a*);(%d+);(%d+);(.*)$'

local function parse_decision(text)
  local from, to, count, exact, letter, reason, generation, decided_at, request = string.match(text, RECORD)
  return from and {
    from = from, to = to, count = tonumber(count), exact = exact, letter = letter, reason = reason,
    generation = generation, decided_at = decided_at, request = request,
  }
end

local function decision_text(record)
  return table.concat({
    record.from, record.to, int(record.count), record.exact, record.letter, record.reason, record.generation,
    record.decided_at, record.request,
  }, ';')
end

local function is_like(a, b)
  return a.letter == b.letter and a.reason == b.reason and a.generation == b.generation and a.request == '' and b.request == ''
end

-- Notes a decision. from, to: texts of ms; exact: '1' or '0'; request: JSON of a run by hand, '' otherwise.
local function log_decision(schedule, decision, reason, from, to, count, exact, request)
  schedule.counts[decision] = schedule.counts[decision] + count
  change_schedule(schedule, decision, int(schedule.counts[decision]))
  local record = {
    from = from, to = to, count = count, exact = exact, letter = LETTERS[decision], reason = reason,
    generation = int(schedule.generation), decided_at = NOW_TEXT, request = request,
  }
  local log = schedule.log
  if #log == 0 then
    local key = log_key(schedule.uid)
    local tail = call('LINDEX', key, -1)
    know_kind('list', key)
    local last = tail and parse_decision(tail)
    if last and is_like(last, record) then
      schedule.continues = true
      log[1] = last
    end
  end
  local last = log[#log]
  if last and is_like(last, record) then
    last.to = record.to
    last.count = last.count + count
    if exact == '0' then last.exact = '0' end
  else
    log[#log + 1] = record
  end
end

local function has_request(schedule, request)
  return string.find('\n' .. schedule.requests .. '\n', '\n' .. request .. '\n', 1, true) ~= nil
end

local function remember_request(schedule, request)
  local kept = {}
  for known in string.gmatch(schedule.requests, '[^\n]+') do kept[#kept + 1] = known end
  kept[#kept + 1] = request
  schedule.requests = table.concat(kept, '\n', math.max(1, #kept - REQUESTS_KEPT + 1))
  change_schedule(schedule, 'requests', schedule.requests)
end

local function write_log(schedule)
  local log, key = schedule.log, log_key(schedule.uid)
  if #log == 0 then return end
  local texts = {}
  for index, record in ipairs(log) do
    if index == 1 and schedule.continues then
      write('LSET', key, -1, decision_text(record))
    else
      texts[#texts + 1] = decision_text(record)
    end
  end
  write_many('RPUSH', key, texts)
  if #texts > 0 then write('LTRIM', key, -LOG_CAP, -1) end
  schedule.log = {}
  schedule.continues = nil
end

before_commit[#before_commit + 1] = function()
  for _, schedule in pairs(opened_schedules) do
    write_log(schedule)
    local fields = {}
    for field, text in pairs(schedule.changes) do
      fields[#fields + 1] = field
      fields[#fields + 1] = text
    end
    schedule.changes = {}
    write_many('HSET', schedule.key, fields)
  end
end
