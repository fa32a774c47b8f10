#!lua
--- @include lib/enqueue
-- enqueue.lua: nothing -> pending or delayed. Makes runs unless their ids are known or the queue is full. O(runs).
-- Not allow-oom: a full Redis refuses it, and nothing is changed.
--
-- KEYS[1] the queue's meta hash
-- ARGV[1] producer, ARGV[2] slot of this batch, ARGV[3] its number
-- ARGV from 4 on, groups of runs that are made alike: as `read_group` in lib/enqueue.lua has them
--
-- Returns one letter for each run: e (enqueued), d (duplicate), f (full). A batch that comes again is answered as the
-- first time: the last batch of each slot of a producer is remembered for ANSWERS_KEPT_MS after the last of them all.
local ANSWERS_KEPT_MS = 600000
local answers_key = BASE .. 'producer:' .. ARGV[1]
local slot, batch = ARGV[2], tonumber(ARGV[3])
local earlier, answered = string.match(call('HGET', answers_key, slot) or '', '^(%d+) (%a+)$')
know_kind('hash', answers_key)
if earlier then
  earlier = tonumber(earlier)
  if earlier == batch then return answered end
  -- The producer gave this batch up and went on; nobody waits for its answer, which would take the place of a later one.
  if earlier > batch then refuse('TIDEMILL_ARGUMENT', 'a batch came after a later one of its slot') end
end

local ids, groups, index = {}, {}, 4
while ARGV[index] do
  groups[#groups + 1] = read_group(index, ids)
  index = index + GROUP_WORDS
end

local known, answers = get_many(RUNS, ids), {}
for _, group in ipairs(groups) do enqueue_group(group, ids, known, answers) end
local text = table.concat(answers)
write('HSET', answers_key, slot, ARGV[3] .. ' ' .. text)
write('PEXPIRE', answers_key, ANSWERS_KEPT_MS)
wake_arrivals()
commit()
return text
