#!lua flags=allow-oom
--- @include lib/settle
--- @include lib/cycle
-- cycle.lua: running -> ended, delayed or pending; pending -> running. Settles, claims, and renews the lease.
-- O(runs settled + runs claimed + lanes looked at).
--
-- KEYS[1] the queue's meta hash
-- ARGV[1] incarnation; ARGV[2], ARGV[3] free slots of io and cpu, both '' to claim nothing; ARGV[4] how many runs that are
--   not due yet; then groups (lib/settle.lua)
--
-- Returns { 'held' | 'gone', answers (a letter a run), token of all claimed runs, { id, record, … },
--   why claiming failed or '', { id to cancel, reason, … }, 1 when more could be claimed, next due ms or '', now ms,
--   how many of the claimed, the last ones, were handed out early }
local lease = open_lease(ARGV[1])
if not lease then
  local ids = read_groups(5)
  return { 'gone', string.rep('u', #ids), '', {}, '', {}, 0, '', NOW_TEXT, 0 }
end
-- Whoever calls needs no waking.
woken[lease.id] = true
renew(lease)
local answers, gone = settle_all(lease, 5)
if gone > 0 then trim_history(gone + 16, true) end
commit()

local wanted = ARGV[2] ~= '' and { io = tonumber(ARGV[2]), cpu = tonumber(ARGV[3]) } or nil
return claim_and_answer(lease, answers, wanted, tonumber(ARGV[4]))
