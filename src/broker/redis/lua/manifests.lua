#!lua flags=no-writes
--- @include lib/base
-- manifests.lua: what consumers publish, and published in the last 7 days. O(manifests).
--
-- KEYS[1] the queue's meta hash
--
-- Returns for each { manifest as JSON, 1 when live, when it was last seen ms }
local MANIFEST_KEPT_MS = 604800000
local replies = {}
local stored = call('HGETALL', BASE .. 'manifests')
for index = 1, #stored, 2 do
  local hash = stored[index]
  local is_live = (tonumber(call('HGET', BASE .. 'live', hash) or nil) or 0) > 0
  local seen = is_live and NOW or tonumber(call('ZSCORE', BASE .. 'seen', hash) or nil) or 0
  if NOW - seen <= MANIFEST_KEPT_MS then replies[#replies + 1] = { stored[index + 1], is_live and 1 or 0, int(seen) } end
end
return replies
