--- @include lib/base
-- leases.lua: until when those who publish a manifest have been heard of; for reads. Who died stays registered until a recovery
-- pass ends it, and where nobody is left, nobody does.

-- manifest hash -> when the last lease of its publishers ends, ms. O(consumers).
local function last_leases()
  local last = {}
  local leases = call('ZRANGE', BASE .. 'leases', 0, -1, 'WITHSCORES')
  for index = 1, #leases, 2 do
    local lease = call('HGET', BASE .. 'held:' .. leases[index], ' lease')
    local hash = string.match(lease or '', '^%d+;([^;]*);')
    if hash then last[hash] = math.max(last[hash] or 0, number_of(leases[index + 1]) or 0) end
  end
  return last
end
