#!lua flags=allow-oom
--- @include lib/held
-- held.lua: what an incarnation holds. Its consumer compares that with what it runs, so runs that were taken from it are
-- forgotten here. O(runs held).
--
-- KEYS[1] the queue's meta hash
-- ARGV[1] incarnation
--
-- Returns { 'held' | 'gone', { id, token, … } }
local lease = open_lease(ARGV[1])
if not lease then return { 'gone', {} } end
local fields, flat, fenced = call('HGETALL', lease.key), {}, {}
for index = 1, #fields, 2 do
  local id = fields[index]
  if string.sub(id, 1, 1) ~= ' ' then
    local token = parse_holding(fields[index + 1])
    if token == '' then
      fenced[#fenced + 1] = id
    else
      flat[#flat + 1] = id
      flat[#flat + 1] = token
    end
  end
end
write_many('HDEL', lease.key, fenced)
commit()
return { 'held', flat }
