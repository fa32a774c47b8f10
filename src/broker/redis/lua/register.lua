#!lua flags=allow-oom
--- @include lib/manifests
-- register.lua: begins or renews the lease of an incarnation, publishes its manifest and stores the queue's settings.
-- O(tasks of the manifest).
--
-- KEYS[1] the queue's meta hash
-- ARGV[1] incarnation, [2] lease ms, [3] manifest hash, [4] when it was built, ms, [5] manifest as JSON,
--   [6] consumer as JSON, [7]–[13] retainSucceededMs, retainSucceededBytes, retainFailedMs, retainFailedBytes, maxPending,
--   maxPendingPerSchedule, maxDeliveries; then task and `executor;limit;schema hash` of each task
--
-- Returns now ms.
local incarnation, lease_ms, manifest, built = ARGV[1], tonumber(ARGV[2]), ARGV[3], tonumber(ARGV[4])
local SETTINGS = {
  'retainSucceededMs', 'retainSucceededBytes', 'retainFailedMs', 'retainFailedBytes', 'maxPending',
  'maxPendingPerSchedule', 'maxDeliveries',
}
-- Longer than any default of hash-max-listpack-value: a held hash of a few hundred runs must not be a list to be scanned.
local PADDING = string.rep('.', 96)

local before = open_lease(incarnation)
local texts, tasks, fields = {}, {}, {}
for index = 14, #ARGV, 2 do
  tasks[#tasks + 1] = ARGV[index]
  texts[ARGV[index]] = ARGV[index + 1]
  fields[#fields + 1] = ARGV[index]
  fields[#fields + 1] = ARGV[index + 1]
end

if not before or before.manifest ~= manifest then
  if before then
    set_live_count(before.manifest, math.max(0, live_count(before.manifest) - 1))
    write('ZREM', idle_key('io', before.manifest), incarnation)
    write('ZREM', idle_key('cpu', before.manifest), incarnation)
  end
  set_live_count(manifest, live_count(manifest) + 1)
else
  set_live_count(manifest, math.max(1, live_count(manifest)))
end
write('HSET', BASE .. 'manifests', manifest, ARGV[5])
write('HSET', BUILDS, manifest, int(built))
if #fields > 0 then write_many('HSET', manifest_key(manifest), fields) end

local affected = {}
for _, task in ipairs(tasks) do affected[#affected + 1] = task end
if before and before.manifest ~= manifest then
  for _, task in ipairs(call('HKEYS', manifest_key(before.manifest))) do
    if not texts[task] then affected[#affected + 1] = task end
  end
end
decide_tasks(affected, { [manifest] = texts }, { [manifest] = built })
-- A task that becomes known has lanes that wait for that.
for _, task in ipairs(tasks) do touch_task(task) end

write('HSET', held_key(incarnation), LEASE, int(lease_ms) .. ';' .. manifest .. ';' .. PADDING)
write('HSET', BASE .. 'consumers', incarnation, manifest .. '\n' .. ARGV[6])
write('ZADD', LEASES, int(NOW + lease_ms), incarnation)
set_meta('leaseMs', lease_ms)
for index, field in ipairs(SETTINGS) do set_meta(field, tonumber(ARGV[6 + index])) end
woken[incarnation] = true
wake_arrivals()
commit()
return NOW_TEXT
