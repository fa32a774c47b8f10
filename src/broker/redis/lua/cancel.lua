#!lua flags=allow-oom
--- @include lib/held
-- cancel.lua: pending or delayed -> cancelled; asks the holder of a running run to stop. O(runs).
--
-- KEYS[1] the queue's meta hash
-- ARGV[1] reason as JSON; then ids
--
-- Returns one letter for each: c (cancelled), r (requested), e (had ended), n (not found)
local ANSWERS = { cancelled = 'c', requested = 'r', ended = 'e' }
local ids, answers = {}, {}
for index = 2, #ARGV do ids[#ids + 1] = ARGV[index] end
for index, run in ipairs(load_runs(ids)) do
  answers[index] = run and ANSWERS[take_out(run, ARGV[1], false)] or 'n'
end
trim_history(2 * #ids + 16)
wake_arrivals()
commit()
return table.concat(answers)
