-- base.lua: what every script stands on: Redis's time, the queue's meta hash, and a list of writes.
--
-- KEYS[1] is the meta hash; every other key has the same prefix and hash tag (shapes: keys.ts).
-- Rule of all scripts: check everything, then write. Scripts never write by redis.call: they queue writes with `write`
-- and `write_many`, which check the type of the key at once, and `commit` does them all. So a wrong-typed value planted
-- at any key makes the script fail before it has changed anything.

local BASE = string.sub(KEYS[1], 1, -5)
local FORMAT = 1
local call = redis.call
local find, sub = string.find, string.sub

-- `..` prints 1764000000000000 as 1.764e+15.
local function int(number) return string.format('%.0f', number) end

-- A number that was stored; nil for what is none. Beyond 2^53 it is not ours: `inf` and `nan` would spread into every sum.
local function number_of(text)
  local number = tonumber(text or nil)
  return number and math.abs(number) <= 2 ^ 53 and number or nil
end

local clock = call('TIME')
local NOW = clock[1] * 1000 + math.floor(clock[2] / 1000)
local NOW_TEXT = int(NOW)

-- Ends the script with an error reply that script-runner.ts understands.
local function refuse(code, message) error({ err = code .. ' ' .. message }) end

local kinds = {} -- key -> type, as far as this script has looked

local function check_kind(kind, key)
  local known = kinds[key]
  if known == nil then
    known = call('TYPE', key).ok
    kinds[key] = known
  end
  if known ~= kind and known ~= 'none' then
    refuse('TIDEMILL_WRONGTYPE', 'the key ' .. key .. ' holds a ' .. known .. ', expected a ' .. kind)
  end
end

-- A read that came back has shown the type of its key: as it is what was expected, or the key does not exist.
local function know_kind(kind, key)
  if kinds[key] == nil then kinds[key] = kind end
end

local KIND_OF = {
  HSET = 'hash', HDEL = 'hash', RPUSH = 'list', LPUSH = 'list', LTRIM = 'list', LREM = 'list', LSET = 'list', ZADD = 'zset',
  ZREM = 'zset', SADD = 'set', SREM = 'set', XADD = 'stream',
}
-- unpack fails above about 8,000 values; even, so that pairs stay together.
local CHUNK = 4000

local queued = {}

local function write(command, key, ...)
  local kind = KIND_OF[command]
  if kind then check_kind(kind, key) end
  queued[#queued + 1] = { command, key, ... }
end

-- As `write` with any number of values, in a list that nobody changes after this.
local function write_many(command, key, values)
  local count = #values
  if count == 0 then return end
  check_kind(KIND_OF[command], key)
  for first = 1, count, CHUNK do
    queued[#queued + 1] = { command, key, values = values, first = first, last = math.min(first + CHUNK - 1, count) }
  end
end

-- HMGET for any number of fields.
local function get_many(key, fields)
  local count = #fields
  if count == 0 then return {} end
  if count <= CHUNK then
    local values = call('HMGET', key, unpack(fields))
    know_kind('hash', key)
    return values
  end
  local values = {}
  for first = 1, count, CHUNK do
    local last = math.min(first + CHUNK - 1, count)
    local page = call('HMGET', key, unpack(fields, first, last))
    for index = 1, last - first + 1 do values[first + index - 1] = page[index] end
  end
  return values
end

-- Meta: counters and settings of the queue. The defaults are those of broker.ts (a test compares them).
local META_DEFAULTS = {
  format = FORMAT, -- of the data; 1 is the first
  pending = 0, -- runs pending or delayed
  running = 0,
  bytesSucceeded = 0, bytesFailed = 0, -- of the retained runs, as `size_of` counts
  voidFailures = 0, -- entries in the list of failures whose runs were redriven since
  tokens = 0, -- the last token or serial given out
  paused = 0, -- 1: nothing is claimed from this queue
  leaseMs = 10000, -- the lease of the last registration
  heardUntilMs = -1, -- when the next sign of life of any consumer is due at the latest
  wasAway = 1, -- 1: the next recovery pass judges nobody; so it is for the first of a queue
  dutyAtMs = -1, -- the due time that the incarnation in the field `duty` was told to wait for
  retainSucceededMs = 86400000, retainSucceededBytes = 67108864, retainFailedMs = 1209600000,
  retainFailedBytes = 67108864, maxPending = 5000000, maxPendingPerSchedule = 1000, maxDeliveries = 3,
}
-- Fields are read when they are first needed; those that most scripts need, at once.
local META_HOT = {
  'format', 'pending', 'running', 'tokens', 'paused', 'heardUntilMs', 'bytesSucceeded', 'retainSucceededBytes', 'retainSucceededMs',
  'retainFailedMs', 'maxPending', 'dutyAtMs',
}

local function read_meta(field, text) return number_of(text) or META_DEFAULTS[field] end

local meta = setmetatable({}, {
  __index = function(fields, field)
    local value = read_meta(field, call('HGET', KEYS[1], field))
    rawset(fields, field, value)
    return value
  end,
})
local meta_changes = {}
local hot = call('HMGET', KEYS[1], unpack(META_HOT))
for index, field in ipairs(META_HOT) do meta[field] = read_meta(field, hot[index]) end
local is_new_queue = not hot[1]
kinds[KEYS[1]] = 'hash'
if meta.format > FORMAT then
  refuse('TIDEMILL_FORMAT', 'the queue has format ' .. int(meta.format) .. ', this version reads up to ' .. int(FORMAT))
end

local function set_meta(field, value)
  meta[field] = value
  meta_changes[field] = value
end

-- Counters never fall below zero, whatever was done to the data by hand.
local function add_meta(field, delta)
  if delta ~= 0 then set_meta(field, math.max(0, meta[field] + delta)) end
end

local before_commit = {} -- functions that queue writes for what a part of the library has gathered

-- Does every queued write. Nothing in it can fail.
local function commit()
  for _, prepare in ipairs(before_commit) do prepare() end
  if is_new_queue and (#queued > 0 or next(meta_changes)) then
    is_new_queue = false
    set_meta('format', FORMAT)
  end
  if next(meta_changes) then
    local fields = {}
    for field, value in pairs(meta_changes) do
      fields[#fields + 1] = field
      fields[#fields + 1] = type(value) == 'number' and int(value) or value
    end
    meta_changes = {}
    write_many('HSET', KEYS[1], fields)
  end
  for _, command in ipairs(queued) do
    if command.values then
      call(command[1], command[2], unpack(command.values, command.first, command.last))
    else
      call(unpack(command))
    end
  end
  queued = {}
end

local on_discard = {} -- functions that forget what a part of the library has gathered or read

-- Forgets every write that is queued, and all that was read: for a part of a script that failed and may.
local function discard()
  queued, meta_changes = {}, {}
  for _, forget in ipairs(on_discard) do forget() end
end
