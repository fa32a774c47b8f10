#!lua flags=allow-oom
--- @include lib/schedule
-- adopt.lua: writes that a generation of an object is acted on from now on. O(schedules).
-- allow-oom: it is small, and a suspension or an edit must take force although Redis is full.
--
-- KEYS[1] the queue's meta hash
-- ARGV, thirteen for each schedule: uid, generation, install, namespace, name, suspended (0 | 1), start ms or '', spec as
--   JSON, force (0 | 1), ms through which the adopter remembers the schedule as settled or '', JSON of a request by hand
--   that it takes for handled or '' (both heeded for an unknown uid only), the generation that it has closed or '', ms after
--   which a slot of that one is due again or ''
--
-- Returns for each { 'stale', generation, 1 when withdrawn }, { 'late', generation, 0 } or
-- { 'adopted' | 'current', generation, 0, state (states.lua) }
local GROUP = 13

local function is_late(schedule, closed, not_after)
  if closed == '' then return false end
  return tonumber(closed) ~= schedule.generation or NOW > (tonumber(not_after) or math.huge)
end

local function adopt(
  uid, generation, install, namespace, name, suspended, start_ms, spec, force, settled_ms, handled, closed, not_after
)
  local schedule = open_schedule_checked(uid)
  local is_withdrawn = schedule.withdrawn_at ~= nil
  local wanted = tonumber(generation)
  if schedule.is_known then
    if schedule.generation == wanted and not is_withdrawn then return 'current', schedule end
    if (is_withdrawn or schedule.generation > wanted) and force ~= '1' then return 'stale', schedule end
    if not is_withdrawn and is_late(schedule, closed, not_after) then return 'late', schedule end
  elseif handled ~= '' then
    remember_request(schedule, handled)
  end
  -- Redis lost a schedule that its adopter remembers: the era goes on where it was settled.
  local settled = not schedule.is_known and tonumber(settled_ms) or nil
  -- A new era that began before a slot that was decided ahead would own slots below the watermark, which nobody can decide.
  local from = settled and settled + 1 or math.max(NOW, (schedule.watermark or 0) + 1)
  begin_era(schedule, generation, suspended, spec, int(from))
  if schedule.is_known and schedule.install ~= install then write('HDEL', BASE .. 'install:' .. schedule.install, uid) end
  write('HSET', BASE .. 'install:' .. install, uid, namespace .. '\n' .. name)
  if is_withdrawn then
    write('ZREM', TOMBSTONES, uid)
    write('HDEL', schedule.key, 'withdrawnAtMs')
  end
  schedule.is_known, schedule.withdrawn_at, schedule.install = true, nil, install
  schedule.generation = wanted
  schedule.not_before = math.max(from, tonumber(start_ms) or from)
  if settled then
    schedule.watermark = settled
    change_schedule(schedule, 'watermarkMs', int(settled))
  end
  change_schedule(schedule, 'generation', generation)
  change_schedule(schedule, 'install', install)
  change_schedule(schedule, 'namespace', namespace)
  change_schedule(schedule, 'name', name)
  change_schedule(schedule, 'suspended', suspended)
  change_schedule(schedule, 'notBeforeMs', int(schedule.not_before))
  return 'adopted', schedule
end

local replies = {}
for first = 1, #ARGV, GROUP do
  local outcome, schedule = adopt(unpack(ARGV, first, first + GROUP - 1))
  replies[#replies + 1] = { outcome, int(schedule.generation), schedule.withdrawn_at and 1 or 0 }
end
commit()
for index, reply in ipairs(replies) do
  if reply[1] ~= 'stale' and reply[1] ~= 'late' then reply[4] = stored_state(ARGV[(index - 1) * GROUP + 1]) end
end
return replies
