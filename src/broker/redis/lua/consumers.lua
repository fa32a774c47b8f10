#!lua flags=no-writes
--- @include lib/base
-- consumers.lua: who is registered. O(consumers).
--
-- KEYS[1] the queue's meta hash
--
-- Returns for each { incarnation, `manifest hash\nJSON for people`, runs held, when its lease ends ms }
local replies = {}
local stored = call('HGETALL', BASE .. 'consumers')
for index = 1, #stored, 2 do
  local key = BASE .. 'held:' .. stored[index]
  local others = 0
  for _, field in ipairs({ ' lease', ' suspect', ' stop', ' off' }) do others = others + call('HEXISTS', key, field) end
  local expires = tonumber(call('ZSCORE', BASE .. 'leases', stored[index]) or nil) or 0
  replies[#replies + 1] = { stored[index], stored[index + 1], math.max(0, call('HLEN', key) - others), int(expires) }
end
return replies
