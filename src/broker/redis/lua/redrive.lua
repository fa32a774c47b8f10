#!lua
--- @include lib/finish
-- redrive.lua: failed -> pending, with attempts and deaths at 0. O(runs).
--
-- KEYS[1] the queue's meta hash
-- ARGV ids
--
-- Returns one letter for each: r (redriven), f (has not failed), n (not found)
local answers = {}
for index, run in ipairs(load_runs(ARGV)) do
  if not run then
    answers[index] = 'n'
  elseif run.head.state ~= 'f' then
    answers[index] = 'f'
  else
    add_meta('bytesFailed', -size_of(run.id, run.text))
    -- Its entry in the list of failures stays and is void: removing it would mean a search.
    write('HSET', REDRIVEN, run.id, int((tonumber(call('HGET', REDRIVEN, run.id) or nil) or 0) + 1))
    add_meta('voidFailures', 1)
    if run.uid ~= '' then write('SADD', BASE .. 'inflight:' .. run.uid, run.id) end
    local fresh = {
      attempt = 0, deaths = 0, suspect = '0', expires = '', started = '', ended = '', incarnation = '',
    }
    run.head = parse_head(make_head(run.head, { due = '' }))
    put_waiting(run, fresh, false, '')
    answers[index] = 'r'
  end
end
wake_arrivals()
commit()
return table.concat(answers)
