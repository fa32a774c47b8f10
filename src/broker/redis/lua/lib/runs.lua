--- @include lib/base
-- runs.lua: records of runs as scripts see them. The format is described in record.ts.
--
-- A run in Lua: { id, text, head (parsed), head_end, body_start, task, lane, uid, slot }. `put_run` gives it a new head and
-- outcome; all changes of records are written together by `commit`.

local RUNS = BASE .. 'runs'
local HEAD = '^([pdrsfcx]);(%d+);(%d+);([01]);(%d+);(%d*);(%d*);(%d*);(%d*);([^;\n]*)$'

-- Numbers with more digits are not ours: they would come out of arithmetic as `inf`.
local COUNT_DIGITS, INSTANT_DIGITS = 9, 15

local heads = {} -- text -> parsed; runs of one batch share their head text

local function parse_head(text)
  local head = heads[text]
  if head == nil then
    local state, attempt, deaths, suspect, enqueued, due, expires, started, ended, incarnation = string.match(text, HEAD)
    local is_sound = state and math.max(#attempt, #deaths) <= COUNT_DIGITS
      and math.max(#enqueued, #due, #expires, #started, #ended) <= INSTANT_DIGITS
    head = is_sound and {
      state = state, attempt = tonumber(attempt), deaths = tonumber(deaths), suspect = suspect, enqueued = enqueued,
      due = due, expires = expires, started = started, ended = ended, incarnation = incarnation,
    }
    heads[text] = head
  end
  return head or nil
end

-- `fields` replace those of `head`; instants are texts, '' for none.
local function make_head(head, fields)
  local function field(name)
    local value = fields[name]
    if value == nil then return head[name] end
    return value
  end
  return table.concat({
    field('state'), int(field('attempt')), int(field('deaths')), field('suspect'), field('enqueued'), field('due'),
    field('expires'), field('started'), field('ended'), field('incarnation'),
  }, ';')
end

local identities = {}

local function parse_identity(text)
  local identity = identities[text]
  if identity == nil then
    local lane, uid, slot = string.match(text, '^([hml]:[^;\n]+);([^;\n]*);([^;\n]*)$')
    identity = lane ~= nil and { lane = lane, task = string.sub(lane, 3), uid = uid, slot = slot }
    identities[text] = identity
  end
  return identity or nil
end

-- The opening of a record: all up to its lane. Runs of one lane that were enqueued in the same millisecond, or claimed
-- together, share it, so a record that begins as the one before need not be parsed: that is most of what a queue does.
-- { text, plain (with the rest of the identity of a run of no schedule), head, head_end, outcome_end, lane, task }
local last_opening

local function parse_opening(text)
  local head_end = string.find(text, '\n', 1, true)
  local outcome_end = head_end and string.find(text, '\n', head_end + 1, true)
  local lane = outcome_end and string.match(text, '^([hml]:[^;\n]+);[^;\n]*;[^;\n]*\n', outcome_end + 1)
  local head = lane and parse_head(string.sub(text, 1, head_end - 1))
  if not head then return nil end
  local opening = string.sub(text, 1, outcome_end + #lane + 1)
  return {
    text = opening, plain = opening .. ';\n', head = head, head_end = head_end, outcome_end = outcome_end,
    lane = lane, task = string.sub(lane, 3),
  }
end

-- Returns the opening of a record, and whether its run belongs to no schedule; nil when the text is no record.
local function opening_of(text)
  local last = last_opening
  if last then
    if find(text, last.plain, 1, true) == 1 then return last, true end
    if find(text, last.text, 1, true) == 1 and find(text, '^[^;\n]*;[^;\n]*\n', #last.text + 1) then
      return last, false
    end
  end
  last_opening = parse_opening(text) or last
  if last_opening == last then return nil end
  return last_opening, find(text, last_opening.plain, 1, true) == 1
end

-- A run from its text; nil when the text is no record.
local function parse_run(id, text)
  local head_end = string.find(text, '\n', 1, true)
  local outcome_end = head_end and string.find(text, '\n', head_end + 1, true)
  local identity_end = outcome_end and string.find(text, '\n', outcome_end + 1, true)
  if not identity_end then return nil end
  local head = parse_head(string.sub(text, 1, head_end - 1))
  local identity = parse_identity(string.sub(text, outcome_end + 1, identity_end - 1))
  if not head or not identity then return nil end
  return {
    id = id, text = text, head = head, head_end = head_end, body_start = outcome_end + 1,
    lane = identity.lane, task = identity.task, uid = identity.uid, slot = identity.slot,
  }
end

local open_runs = {} -- id -> run, as this script has left it

-- The lane that a pending run waits in.
local function lane_of(run)
  return run.head.suspect == '1' and 's:' .. run.task or run.lane
end

-- The run of a record that was read before; false when the text is no record.
local function open_run(id, text)
  local run = open_runs[id]
  if run == nil then
    run = parse_run(id, text) or false
    open_runs[id] = run
  end
  return run
end

-- Loads runs by id; returns a list with false where there is no record, or none that can be read.
local function load_runs(ids)
  local texts, loaded = get_many(RUNS, ids), {}
  for index, id in ipairs(ids) do
    local text = texts[index]
    loaded[index] = open_runs[id] or (open_runs[id] == nil and text and open_run(id, text)) or false
  end
  return loaded
end

local function size_of(id, text) return #text + #id + 96 end

local changed_records = {} -- id -> text
-- The same as a flat list, for the many runs that a script touches once and need no more than that. It is where a
-- queue's time goes: one text is cut and one joined for each run, and no table made.
local plain_records = {}

local function put_plain(id, text)
  local count = #plain_records
  plain_records[count + 1] = id
  plain_records[count + 2] = text
end

-- Makes runs of the plain records, for what must look at them again.
local function open_plain_records()
  for index = 1, #plain_records, 2 do
    local id, text = plain_records[index], plain_records[index + 1]
    open_runs[id] = parse_run(id, text)
    changed_records[id] = text
  end
  plain_records = {}
end

-- Gives the run a new head, and a new outcome unless that is nil.
local function put_run(run, head_text, outcome)
  if outcome then
    run.text = head_text .. '\n' .. outcome .. '\n' .. string.sub(run.text, run.body_start)
    run.body_start = #head_text + #outcome + 3
  else
    run.body_start = run.body_start - run.head_end + #head_text + 1
    run.text = head_text .. string.sub(run.text, run.head_end)
  end
  run.head_end = #head_text + 1
  run.head = parse_head(head_text)
  changed_records[run.id] = run.text
end

before_commit[#before_commit + 1] = function()
  local fields = plain_records
  for id, text in pairs(changed_records) do
    fields[#fields + 1] = id
    fields[#fields + 1] = text
  end
  changed_records, plain_records = {}, {}
  write_many('HSET', RUNS, fields)
end

on_discard[#on_discard + 1] = function() open_runs, changed_records, plain_records = {}, {}, {} end
