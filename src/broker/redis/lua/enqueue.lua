#!lua
--- @include lib/enqueue
-- enqueue.lua: nothing -> pending or delayed. Makes runs unless their ids are known or the queue is full. O(runs).
-- Not allow-oom: a full Redis refuses it, and nothing is changed.
--
-- KEYS[1] the queue's meta hash
-- ARGV[1] producer, ARGV[2] slot of this batch, ARGV[3] its number
-- ARGV from 4 on, groups: 'at' | 'after', ms, expiry ms or '', count, then id and body (encodeBody) of each run
--
-- Returns one letter for each run: e (enqueued), d (duplicate), f (full). A batch that comes again is answered as the
-- first time: the last batch of each slot of a producer is remembered for ANSWERS_KEPT_MS after the last of them all.
local ANSWERS_KEPT_MS = 600000
local answers_key = BASE .. 'producer:' .. ARGV[1]
local slot, batch = ARGV[2], tonumber(ARGV[3])
local earlier, answered = string.match(call('HGET', answers_key, slot) or '', '^(%d+) (%a+)$')
if earlier then
  earlier = tonumber(earlier)
  if earlier == batch then return answered end
  -- The producer gave this batch up and went on; nobody waits for its answer, which would take the place of a later one.
  if earlier > batch then refuse('TIDEMILL_ARGUMENT', 'a batch came after a later one of its slot') end
end

local ids, groups, index = {}, {}, 4
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
write('HSET', answers_key, slot, ARGV[3] .. ' ' .. text)
write('PEXPIRE', answers_key, ANSWERS_KEPT_MS)
wake_arrivals()
commit()
return text
