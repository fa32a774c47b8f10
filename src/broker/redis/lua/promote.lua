#!lua flags=allow-oom
--- @include lib/finish
-- promote.lua: delayed -> pending when due; pending or delayed -> expired; drops records past their age. O(runs moved),
-- bounded.
--
-- KEYS[1] the queue's meta hash
-- ARGV[1] how many of each to move at most
--
-- Returns { promoted, expired, dropped, 1 when more is due, next due ms or '' }
local limit = tonumber(ARGV[1])
local promoted, expired = 0, 0

local function due_in(key)
  check_kind('zset', key)
  local ids = call('ZRANGE', key, '-inf', NOW_TEXT, 'BYSCORE', 'LIMIT', 0, limit)
  return ids, load_runs(ids)
end

local ids, runs = due_in(EXPIRING)
for index, id in ipairs(ids) do
  local run = runs[index]
  if run and (run.head.state == 'p' or run.head.state == 'd') and run.head.attempt == 0 then
    finish(run, 'x', '')
    expired = expired + 1
  else
    write('ZREM', EXPIRING, id)
  end
end

ids, runs = due_in(DELAYED)
for index, id in ipairs(ids) do
  local run = runs[index]
  write('ZREM', DELAYED, id)
  if run and run.head.state == 'd' then
    put_run(run, make_head(run.head, { state = 'p' }))
    lane_push(lane_of(run), id, false)
    promoted = promoted + 1
  elseif not run then
    local text = call('HGET', RUNS, id)
    if text then bury(id, 'm:unknown', 'd', text) end
  end
end
local dropped = trim_history(limit)
wake_arrivals()
nudge()
commit()
local due = next_due()
return { promoted, expired, dropped, (due and due <= NOW) and 1 or 0, due and int(due) or '' }
