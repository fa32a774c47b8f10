--- @include lib/schedule
-- mailbox.lua (library): runs by hand that were asked for, and wait until an engine fires them. One table, as a script may
-- have 200 locals and fire.lua needs most of them.

local mailbox = { CAP = 100, asked = BASE .. 'asked', params = BASE .. 'asked-params' }

function mailbox.member(uid, request) return uid .. '\n' .. request end

-- Members in the order in which they came; the cap bounds them.
function mailbox.all()
  check_kind('zset', mailbox.asked)
  return call('ZRANGE', mailbox.asked, 0, -1)
end

function mailbox.drop(members)
  if #members == 0 then return end
  write_many('ZREM', mailbox.asked, members)
  write_many('HDEL', mailbox.params, members)
end

function mailbox.drop_all_of(uid)
  local gone, prefix = {}, uid .. '\n'
  for _, member in ipairs(mailbox.all()) do
    if string.sub(member, 1, #prefix) == prefix then gone[#gone + 1] = member end
  end
  mailbox.drop(gone)
end
