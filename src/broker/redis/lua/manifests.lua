#!lua flags=no-writes
--- @include lib/leases
-- manifests.lua: what consumers publish, and published in the last 7 days. O(consumers + manifests).
--
-- KEYS[1] the queue's meta hash
--
-- Returns for each { manifest as JSON, 1 when live, when it was last seen ms }
local MANIFEST_KEPT_MS = 604800000
local SILENT_CONSUMER_MS = 60000

local replies, last = {}, last_leases()
local stored = call('HGETALL', BASE .. 'manifests')
for index = 1, #stored, 2 do
  local hash = stored[index]
  local heard = last[hash] or 0
  local is_live = NOW - heard < SILENT_CONSUMER_MS
  local seen = is_live and NOW or math.max(heard, number_of(call('ZSCORE', BASE .. 'seen', hash)) or 0)
  if NOW - seen <= MANIFEST_KEPT_MS then replies[#replies + 1] = { stored[index + 1], is_live and 1 or 0, int(seen) } end
end
return replies
