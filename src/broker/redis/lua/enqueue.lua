#!lua
--- @include lib/enqueue
-- enqueue.lua: nothing -> pending or delayed. Makes runs unless their ids are known or the queue is full. O(runs).
-- Not allow-oom: a full Redis refuses it, and nothing is changed.
--
-- KEYS[1] the queue's meta hash
-- ARGV[1] producer, ARGV[2] number of this batch
-- ARGV from 3 on, groups: 'at' | 'after', ms, expiry ms or '', count, then id and body (encodeBody) of each run
--
-- Returns one letter for each run: e (enqueued), d (duplicate), f (full). A batch that comes again is answered as the
-- first time: the last ANSWERS_KEPT batches of a producer are remembered for ANSWERS_KEPT_MS.
local ANSWERS_KEPT, ANSWERS_KEPT_MS = 16, 600000
local answers_key = BASE .. 'producer:' .. ARGV[1]
local batch = tonumber(ARGV[2])
local earlier = call('HGET', answers_key, ARGV[2])
if earlier then return earlier end

local ids, groups, index = {}, {}, 3
while ARGV[index] do
  local group = { at = ARGV[index], ms = tonumber(ARGV[index + 1]), expires = tonumber(ARGV[index + 2]), first = index + 4 }
  group.count = tonumber(ARGV[index + 3])
  if not group.count or not group.ms then refuse('TIDEMILL_ARGUMENT', 'a group of runs is malformed') end
  groups[#groups + 1] = group
  for offset = 0, group.count - 1 do ids[#ids + 1] = ARGV[group.first + 2 * offset] end
  index = group.first + 2 * group.count
end

local known, answers, waiting = get_many(RUNS, ids), {}, { count = 0, lanes = {} }
for _, group in ipairs(groups) do
  local delay_ms = group.at == 'at' and group.ms - NOW or group.ms
  for offset = 0, group.count - 1 do
    local at = group.first + 2 * offset
    local outcome = enqueue_run(ARGV[at], known[#answers + 1], ARGV[at + 1], delay_ms, group.expires, waiting)
    answers[#answers + 1] = ANSWER[outcome]
  end
end
push_waiting(waiting)
local text = table.concat(answers)
write('HSET', answers_key, ARGV[2], text)
write('HDEL', answers_key, int(batch - ANSWERS_KEPT))
write('PEXPIRE', answers_key, ANSWERS_KEPT_MS)
wake_arrivals()
commit()
return text
