--- @include lib/finish
-- held.lua: incarnations, and the runs that they hold.

local LEASE, SUSPECT, STOP, OFF = ' lease', ' suspect', ' stop', ' off'
local LEASES = BASE .. 'leases'

local function held_key(incarnation) return BASE .. 'held:' .. incarnation end

-- The lease of an incarnation: { id, key, lease_ms, manifest, suspect, stop }; nil when it was ended.
local function open_lease(incarnation)
  local key = held_key(incarnation)
  local fields = call('HMGET', key, LEASE, SUSPECT, STOP)
  know_kind('hash', key)
  local lease_ms, manifest = string.match(fields[1] or '', '^(%d+);([^;]*);')
  if not lease_ms then return nil end
  check_kind('zset', LEASES)
  return {
    id = incarnation, key = key, lease_ms = tonumber(lease_ms), manifest = manifest,
    suspect = fields[2] or nil, stop = fields[3] or nil,
  }
end

-- A consumer is heard of several times in a lease: by its heartbeat, which a blocked event loop does not stop, its claims and
-- its recovery passes. When all of them are silent for half of that, Redis was away, and nobody could renew.
local function note_life(lease_ms)
  if NOW > meta.heardUntilMs then set_meta('wasAway', 1) end
  set_meta('heardUntilMs', math.max(meta.heardUntilMs, NOW + math.floor(lease_ms / 2)))
end

local function renew(lease)
  write('ZADD', LEASES, int(NOW + lease.lease_ms), lease.id)
  note_life(lease.lease_ms)
end

-- The value of a run in a held hash: token, and the reason (JSON) when its cancellation was asked for.
local function parse_holding(value)
  local token, reason = string.match(value, '^([^\n]*)\n(.*)$')
  if token then return token, reason end
  return value, nil
end

-- What an incarnation is to cancel, as a flat list of ids and reasons. Ids that it holds no more are forgotten.
local function cancellations_of(lease)
  if not lease.stop then return {} end
  local ids = {}
  for id in string.gmatch(lease.stop, '%S+') do ids[#ids + 1] = id end
  local values, flat, left = get_many(lease.key, ids), {}, {}
  for index, id in ipairs(ids) do
    local _, reason = parse_holding(values[index] or '')
    if reason then
      flat[#flat + 1] = id
      flat[#flat + 1] = reason
      left[#left + 1] = id
    end
  end
  if #left == 0 then
    write('HDEL', lease.key, STOP)
    lease.stop = nil
  elseif #left < #ids then
    lease.stop = table.concat(left, ' ')
    write('HSET', lease.key, STOP, lease.stop)
  end
  return flat
end

local stops = {} -- held key -> text of its stop field, as this script has left it

-- The hash that holds a running run: of its incarnation, or what recovery renamed that to. nil, when no hash does.
local function find_holder(run)
  local key = held_key(run.head.incarnation)
  local value = call('HGET', key, run.id)
  if value then return key, value end
  local dying = call('HGETALL', BASE .. 'dying')
  for index = 1, #dying, 2 do
    local incarnation = string.match(dying[index + 1], '^%l;%d+;(.*)$')
    if incarnation == run.head.incarnation then
      key = BASE .. 'fenced:' .. dying[index]
      value = call('HGET', key, run.id)
      if value then return key, value end
    end
  end
  return nil
end

-- Writes into the holder's hash that a run is to be cancelled.
-- fence: also takes the run from it, so that its settle is refused and its recovery steps over it.
local function tell_holder(run, reason, fence)
  local key, value = find_holder(run)
  if not key then return end
  local token, asked = parse_holding(value)
  if asked and not fence then return end
  if not asked then
    local stop = stops[key] or call('HGET', key, STOP)
    stops[key] = stop and (stop .. ' ' .. run.id) or run.id
    write('HSET', key, STOP, stops[key])
  end
  write('HSET', key, run.id, (fence and '' or token) .. '\n' .. (asked or reason))
  if fence and call('HGET', key, SUSPECT) == run.id then write('HDEL', key, SUSPECT) end
end

-- Takes a run out of the queue: cancel, purge, and Replace (fence). Answers 'cancelled', 'requested' or 'ended'.
-- A running run goes on until its consumer has been told, unless `fence`: then it is ended here and now.
local function take_out(run, reason, fence)
  local state = run.head.state
  if state == 'p' or state == 'd' then
    finish(run, 'c', reason)
    return 'cancelled'
  end
  if state ~= 'r' then return 'ended' end
  tell_holder(run, reason, fence)
  if not fence then return 'requested' end
  finish(run, 'c', reason)
  return 'cancelled'
end

-- Ends a run, or puts it back, after an attempt that it may have been asked to cancel. One that was handed out before it was
-- due, and comes back before that, waits for its time again.
local function go_back(run, reason, change, front, outcome)
  if reason then
    finish(run, 'c', reason)
    return 'c'
  end
  local due = tonumber(run.head.due)
  if not change.due and due and due > NOW and due <= NOW + EARLY_MS then change.due = due end
  leave_state(run)
  put_waiting(run, change, front, outcome)
  return change.state
end
