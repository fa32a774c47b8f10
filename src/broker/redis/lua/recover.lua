#!lua flags=allow-oom
--- @include lib/recovery
-- recover.lua: ends incarnations whose lease is over, and gives back what they held: running -> pending, as suspects.
-- O(incarnations ended + runs given back), both bounded.
--
-- KEYS[1] the queue's meta hash
-- ARGV[1] about how many runs to give back
--
-- Returns { 1 for an amnesty, { incarnation ended, … }, runs returned, { id dead-lettered, task, … }, 1 when more are left }
local MOST_ENDED = 16
local MANIFEST_KEPT_MS = 604800000

load_dying()
-- After a silence of the whole fleet every lease begins afresh: Redis, not the consumers, was away.
note_life(meta.leaseMs)
local is_amnesty = meta.wasAway == 1
set_meta('wasAway', 0)

local ended = {}
if is_amnesty then
  for _, incarnation in ipairs(call('ZRANGE', LEASES, 0, -1)) do
    local lease = open_lease(incarnation)
    if lease then write('ZADD', LEASES, 'GT', int(NOW + lease.lease_ms), incarnation) end
  end
else
  for _, incarnation in ipairs(call('ZRANGE', LEASES, '-inf', NOW_TEXT, 'BYSCORE', 'LIMIT', 0, MOST_ENDED)) do
    local lease = open_lease(incarnation)
    if lease then
      end_incarnation(lease, 'd')
      ended[#ended + 1] = incarnation
    else
      write('ZREM', LEASES, incarnation) -- its held hash was removed by hand
    end
  end
end

-- Manifests outlive their consumers, for people who ask what a task was.
local old = call('ZRANGE', SEEN, '-inf', int(NOW - MANIFEST_KEPT_MS), 'BYSCORE', 'LIMIT', 0, MOST_ENDED)
for _, hash in ipairs(old) do
  if live_count(hash) > 0 then
    write('ZADD', SEEN, NOW_TEXT, hash)
  else
    write('ZREM', SEEN, hash)
    write('HDEL', BASE .. 'manifests', hash)
    write('HDEL', BUILDS, hash)
    write('DEL', manifest_key(hash))
  end
end

local report = { returned = 0, dead = {}, looked_at = 0 }
local more = drain_dying(tonumber(ARGV[1]), report)
trim_history(#report.dead + 16)
wake_arrivals()
nudge()
commit()
return { is_amnesty and 1 or 0, ended, report.returned, report.dead, (more or #ended == MOST_ENDED) and 1 or 0 }
