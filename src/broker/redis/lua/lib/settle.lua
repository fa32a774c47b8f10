--- @include lib/held
-- settle.lua: how attempts end. Fenced: what this incarnation does not hold under that token is left alone.

-- Fields of one run in a group, by outcome: S succeeded without result, s with result, f failed, r retry, b released,
-- c cancelled, j rejected.
local FIELDS = { S = 1, s = 2, f = 2, r = 3, b = 2, c = 2, j = 2 }
local SUCCEEDS = { S = true, s = true }
-- How long a rejected run that goes back is kept away (REJECTED_DELAY_MS in broker.ts).
local REJECTED_DELAY_MS = 1000

-- Groups from ARGV[first] on: token, kind, count, then FIELDS[kind] values a run, the id first. Returns all ids, and for
-- each the place of its first value and its group.
local function read_groups(first)
  local ids, places, groups, index = {}, {}, {}, first
  while ARGV[index] do
    local kind, count = ARGV[index + 1], tonumber(ARGV[index + 2])
    local fields = FIELDS[kind]
    if not fields or not count then refuse('TIDEMILL_ARGUMENT', 'a settle group is malformed') end
    local group = { token = ARGV[index], kind = kind }
    index = index + 3
    for number = #ids + 1, #ids + count do
      ids[number], places[number], groups[number] = ARGV[index], index, group
      index = index + fields
    end
  end
  return ids, places, groups
end

local function schema_hash(manifest, task)
  return string.match(call('HGET', BASE .. 'manifest:' .. manifest, task) or '', '^%l+;%d*;(.*)$')
end

-- Whether a registered consumer publishes another schema of the task, and so may be able to read the params.
local function another_schema_is_live(lease, task)
  local own = schema_hash(lease.manifest, task)
  for _, hash in ipairs(get_live_manifests()) do
    local other = schema_hash(hash, task)
    if other and other ~= own then return true end
  end
  return false
end

local function give_back(run, reason, delay_ms)
  local change = { attempt = math.max(0, run.head.attempt - 1) }
  if delay_ms > 0 then change.due = NOW + delay_ms end
  go_back(run, reason, change, true)
end

-- Ends or puts back one held run; answers s (settled) or r (returned).
local function settle_one(lease, run, kind, place, reason)
  local first, second = ARGV[place + 1], ARGV[place + 2]
  if kind == 'S' then
    finish(run, 's', '')
  elseif kind == 's' then
    finish(run, 's', first)
  elseif kind == 'f' then
    finish(run, 'f', first)
  elseif kind == 'c' then
    finish(run, 'c', reason or first)
  elseif kind == 'r' then
    local delay_ms = tonumber(first)
    local change = { suspect = '0', due = delay_ms > 0 and NOW + delay_ms or nil }
    go_back(run, reason, change, false, second)
  elseif kind == 'b' then
    give_back(run, reason, tonumber(first))
  elseif not reason and another_schema_is_live(lease, run.task) then
    give_back(run, nil, REJECTED_DELAY_MS)
    return 'r'
  elseif reason then
    finish(run, 'c', reason)
  else
    finish(run, 'f', first)
  end
  return 's'
end

-- Settles one run that is held under the token given; answers s, r, or u when there is no record to settle.
local function settle_held(lease, id, text, kind, place, reason)
  local run = text and open_run(id, text)
  -- A held run without a readable record was tampered with; there is nothing to settle but the holding.
  if not run or run.head.state ~= 'r' then return 'u' end
  return settle_one(lease, run, kind, place, reason)
end

-- Settles all groups; returns one letter for each run, in order (s, r, or u: unknown), and how many holdings went.
local function settle_all(lease, first)
  local ids, places, groups = read_groups(first)
  if #ids == 0 then return '', 0 end
  local values, texts = get_many(lease.key, ids), get_many(RUNS, ids)
  local answers, gone, seen = {}, {}, {}
  for index, id in ipairs(ids) do
    local value, group, answer = values[index], groups[index], 'u'
    local succeeds = value == group.token and SUCCEEDS[group.kind] and texts[index] and not seen[id]
    if succeeds and succeed_plain(id, texts[index], group.kind == 's' and ARGV[places[index] + 1] or '') then
      answer = 's'
      seen[id] = true
      gone[#gone + 1] = id
    elseif value and not seen[id] then
      local token, reason = value, nil
      if value ~= group.token then token, reason = parse_holding(value) end
      if token == group.token then answer = settle_held(lease, id, texts[index], group.kind, places[index], reason) end
      -- A run that was taken from this incarnation is forgotten once its consumer shows that it has ended.
      if token == group.token or token == '' then
        seen[id] = true
        gone[#gone + 1] = id
      end
    end
    answers[index] = answer
  end
  count_succeeded()
  local gone_count = #gone
  if lease.suspect and seen[lease.suspect] then
    gone[#gone + 1] = SUSPECT
    lease.suspect = nil
  end
  write_many('HDEL', lease.key, gone)
  return table.concat(answers), gone_count
end
