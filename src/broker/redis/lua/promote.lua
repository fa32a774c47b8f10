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
  return call('ZRANGE', key, '-inf', NOW_TEXT, 'BYSCORE', 'LIMIT', 0, limit)
end

local ids = due_in(EXPIRING)
local runs = load_runs(ids)
for index, id in ipairs(ids) do
  local run = runs[index]
  if run and (run.head.state == 'p' or run.head.state == 'd') and run.head.attempt == 0 then
    finish(run, 'x', '')
    expired = expired + 1
  else
    write('ZREM', EXPIRING, id)
  end
end

local pending_heads = {}

local function pending_head(head)
  local text = pending_heads[head]
  if not text then
    text = make_head(head, { state = 'p' })
    pending_heads[head] = text
  end
  return text
end

-- A crowd that waits for the same instant was enqueued together, so its records begin alike: see `opening_of`.
local function promote_plain(id, text)
  local opening = text and open_runs[id] == nil and opening_of(text)
  if not opening or opening.head.state ~= 'd' or opening.head.suspect == '1' then return false end
  put_plain(id, pending_head(opening.head) .. sub(text, opening.head_end))
  lane_push(opening.lane, id, false)
  return true
end

local function promote(id, text)
  if promote_plain(id, text) then return 1 end
  local run = text and open_run(id, text)
  if run and run.head.state == 'd' then
    put_run(run, pending_head(run.head))
    lane_push(lane_of(run), id, false)
    return 1
  end
  if text and not run then bury(id, 'm:unknown', 'd', text) end
  return 0
end

ids = due_in(DELAYED)
local texts = get_many(RUNS, ids)
for index, id in ipairs(ids) do promoted = promoted + promote(id, texts[index]) end
write_many('ZREM', DELAYED, ids)
local dropped = trim_history(limit)
wake_arrivals()
nudge()
commit()
local due = next_due()
return { promoted, expired, dropped, (due and due <= NOW) and 1 or 0, due and int(due) or '' }
