//! The Lua scripts. Each is one atomic step, and may run twice with the same effect as once.
//!
//! For the scripts of a user, `KEYS[1]` is the checkpoint, a hash of `version`, `fence`, `body`,
//! `sum` (the version, a space, and the user's summary for batches), `code` (the fence of the save,
//! a space, and the integrity code), `unreleased` (claims in a row that were never released) and `workers` (the processes that
//! took the user since the last save, a line each).
//! `KEYS[2]` is the lease, whose value is the owner. `KEYS[3]` of claim and save is the sorted set of
//! the users who still have access; see [`super::users`].
//!
//! What another program wrote to these keys never stops a worker: a key of another type is removed,
//! a counter that is not a number counts as 0, and a body that is too long counts as absent.

/// `ARGV`: owner, lease time in ms, ms that a checkpoint is kept at least from now on, user, an owner
/// that is gone, the process (empty: an operator's command). Answers `{0, remaining ms, owner}` when another owner has the
/// lease, else `{1, fence, version, body, claims never released (this one included), code, the processes since the last save}`. Two claims of one owner are one claim. A hash
/// without a checkpoint expires, unless a save follows. A user without a checkpoint has access.
pub(super) const CLAIM: &str = r"
local function of_kind(key, kind)
  local found = redis.call('TYPE', key).ok
  if found ~= kind and found ~= 'none' then redis.call('DEL', key) end
end
of_kind(KEYS[1], 'hash')
of_kind(KEYS[2], 'string')
of_kind(KEYS[3], 'zset')
local function number(field)
  local stored = redis.call('HGET', KEYS[1], field)
  if not stored then return 0 end
  local number = tonumber(stored)
  if number and number >= 0 and number < 9007199254740000 and number == math.floor(number) then return number end
  redis.call('HDEL', KEYS[1], field)
  return 0
end
local function set(field, number)
  redis.call('HSET', KEYS[1], field, string.format('%.0f', number))
  return number
end
local holder = redis.call('GET', KEYS[2])
local other = holder and holder ~= ARGV[1]
if other and (ARGV[5] == '' or holder ~= ARGV[5]) then
  local left = redis.call('PTTL', KEYS[2])
  if left < 0 or left > 3600000 then
    redis.call('PEXPIRE', KEYS[2], ARGV[2])
    left = tonumber(ARGV[2])
  end
  return {0, left, holder}
end
redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[2])
local fence, unreleased = number('fence'), number('unreleased')
if not holder or other then
  fence = set('fence', fence + 1)
  unreleased = set('unreleased', unreleased + 1)
end
local workers = redis.call('HGET', KEYS[1], 'workers') or ''
if ARGV[6] ~= '' and #workers < 4096 and not string.find('\n' .. workers, '\n' .. ARGV[6] .. '\n', 1, true) then
  workers = workers .. ARGV[6] .. '\n'
  redis.call('HSET', KEYS[1], 'workers', workers)
end
local version = number('version')
if version == 0 then
  local time = redis.call('TIME')
  local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
  redis.call('ZADD', KEYS[3], 'NX', string.format('%.0f', now), ARGV[4])
end
local left = redis.call('PTTL', KEYS[1])
if left < tonumber(ARGV[3]) and (left >= 0 or version == 0) then redis.call('PEXPIRE', KEYS[1], ARGV[3]) end
local body = redis.call('HGET', KEYS[1], 'body') or ''
if #body > 8388608 then body = '' end
local code = redis.call('HGET', KEYS[1], 'code') or ''
return {1, fence, version, body, math.max(unreleased, 1), code, workers}
";

/// `ARGV`: owner, lease time in ms, fence, expected version, body, summary, ms that the checkpoint
/// is kept from now on (0: without a limit), code, the time in ms when a user was asked for who still
/// has access (empty: the access is gone), user, whether the lease is given up (1) or renewed (0). `KEYS[4]` is how many hold
/// objects of the user are stored. Answers the new version, or 0 when another owner has the lease or another version is stored,
/// and what [`NOTED_HOLDS`] answers. Two equal saves are one save, so that a save whose
/// answer was lost can be sent again: also when nobody has the lease, if the first one gave it up.
pub(super) const SAVE: &str = r"
local holder = redis.call('GET', KEYS[2])
local again = not holder and ARGV[11] == '1'
if holder ~= ARGV[1] and not again then return {0, '0'} end
local stored = redis.call('HMGET', KEYS[1], 'fence', 'version')
if tonumber(stored[1] or 0) ~= tonumber(ARGV[3]) then return {0, '0'} end
local version = tonumber(stored[2] or 0)
local expected = tonumber(ARGV[4])
if version == expected and not again then
  local sum = string.format('%.0f ', expected + 1) .. ARGV[6]
  redis.call('HSET', KEYS[1], 'version', expected + 1, 'body', ARGV[5], 'sum', sum, 'code', ARGV[8])
  redis.call('HDEL', KEYS[1], 'workers')
elseif version ~= expected + 1 or redis.call('HGET', KEYS[1], 'body') ~= ARGV[5] then
  return {0, '0'}
end
if ARGV[7] == '0' then redis.call('PERSIST', KEYS[1]) else redis.call('PEXPIRE', KEYS[1], ARGV[7]) end
if ARGV[11] == '1' then
  redis.call('HDEL', KEYS[1], 'unreleased')
  redis.call('DEL', KEYS[2])
else
  redis.call('PEXPIRE', KEYS[2], ARGV[2])
end
local kind = redis.call('TYPE', KEYS[3]).ok
if kind ~= 'zset' and kind ~= 'none' then redis.call('DEL', KEYS[3]) end
if ARGV[9] == '' then
  redis.call('ZREM', KEYS[3], ARGV[10])
else
  redis.call('ZADD', KEYS[3], ARGV[9], ARGV[10])
end
local noted = redis.pcall('GET', KEYS[4])
if type(noted) == 'table' then noted = 'unknown' end
return {expected + 1, noted or '0'}
";

/// `KEYS[1]` is the checkpoint, `KEYS[2]` the sorted set of the users who still have access. `ARGV`:
/// time in ms, user. Adds a user who was asked for, unless there is a checkpoint, which says more.
pub(super) const ASKED: &str = r"
if redis.call('TYPE', KEYS[1]).ok == 'hash' and redis.call('HGET', KEYS[1], 'version') then return 0 end
local kind = redis.call('TYPE', KEYS[2]).ok
if kind ~= 'zset' and kind ~= 'none' then redis.call('DEL', KEYS[2]) end
return redis.call('ZADD', KEYS[2], 'NX', ARGV[1], ARGV[2])
";

/// The same keys. `ARGV`: the version that was read, the time in ms when a user was asked for who
/// still has access (empty: the access is gone), user. Does nothing where another version is stored:
/// its save corrected the set.
pub(super) const CORRECT_ACCESS: &str = r"
if (redis.call('HGET', KEYS[1], 'version') or '') ~= ARGV[1] then return 0 end
local kind = redis.call('TYPE', KEYS[2]).ok
if kind ~= 'zset' and kind ~= 'none' then redis.call('DEL', KEYS[2]) end
if ARGV[2] == '' then return redis.call('ZREM', KEYS[2], ARGV[3]) end
return redis.call('ZADD', KEYS[2], ARGV[2], ARGV[3])
";

/// `KEYS[1]` is the sorted set of the users who still have access. `ARGV`: time in ms and user behind
/// whom the page begins (empty: at the head), number of users. Answers the mark of a complete set
/// (or an empty text), the number of users, the first of all, and the page. Binary search, since
/// many users were asked for in the same millisecond.
pub(super) const WITH_ACCESS: &str = r"
if redis.call('TYPE', KEYS[1]).ok ~= 'zset' then return {'', 0, {}, {}} end
local marks = redis.call('ZCOUNT', KEYS[1], 'inf', 'inf')
local total = redis.call('ZCARD', KEYS[1]) - marks
local mark = ''
if marks > 0 then mark = redis.call('ZRANGE', KEYS[1], -1, -1)[1] end
local low = 0
if ARGV[1] ~= '' then
  local after, high = tonumber(ARGV[1]), total
  while low < high do
    local middle = math.floor((low + high) / 2)
    local found = redis.call('ZRANGE', KEYS[1], middle, middle, 'WITHSCORES')
    local score = tonumber(found[2])
    if score < after or (score == after and found[1] <= ARGV[2]) then low = middle + 1 else high = middle end
  end
end
local first, page = {}, {}
if total > 0 then first = redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES') end
local last = math.min(low + tonumber(ARGV[3]), total) - 1
if last >= low then page = redis.call('ZRANGE', KEYS[1], low, last, 'WITHSCORES') end
return {mark, total, first, page}
";

/// `ARGV`: owner, lease time in ms. Answers 1 when the lease is still the owner's.
pub(super) const RENEW: &str = r"
if redis.call('GET', KEYS[2]) ~= ARGV[1] then return 0 end
return redis.call('PEXPIRE', KEYS[2], ARGV[2])
";

/// `KEYS[1]` is a sorted set of the users who were deleted, by time, and one member `window:MS`
/// that sorts behind them all. That member says that the set is complete for the last MS
/// milliseconds, so that a set that was lost or removed does not count as an empty one. A member
/// `seen:USER` is a deletion that [`RESTORE_COUNT`] concluded from the archive store; when that
/// user asks, the deletion did not happen, and the member is removed. `ARGV`: user, count, period
/// in ms. Answers 0 when the deletion is counted, the ms to wait until the limit admits it, or -1
/// when the count is unknown.
pub(super) const ADMIT: &str = r"
if redis.call('TYPE', KEYS[1]).ok ~= 'zset' then return -1 end
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local count, per = tonumber(ARGV[2]), tonumber(ARGV[3])
local last = redis.call('ZRANGE', KEYS[1], -1, -1)
local window = tonumber(string.match(last[1] or '', '^window:(%d+)$') or 0)
if window < per then return -1 end
local function ms(number) return string.format('%.0f', number) end
redis.call('PERSIST', KEYS[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', ms(now - window))
local since = '(' .. ms(now - per)
local own = tonumber(redis.call('ZSCORE', KEYS[1], ARGV[1]) or 0)
if own > now - per then return 0 end
redis.call('ZREM', KEYS[1], 'seen:' .. ARGV[1])
local over = redis.call('ZCOUNT', KEYS[1], since, '(inf') - count
if over >= 0 then
  local next = redis.call('ZRANGE', KEYS[1], since, '(inf', 'BYSCORE', 'LIMIT', over, 1, 'WITHSCORES')
  return math.max(1, math.min(per, tonumber(next[2]) + per - now))
end
redis.call('ZADD', KEYS[1], ms(now), ARGV[1])
return 0
";

/// The same key. Answers for how many ms the set is complete.
pub(super) const COUNT_REACH: &str = r"
if redis.call('TYPE', KEYS[1]).ok ~= 'zset' then return 0 end
local last = redis.call('ZRANGE', KEYS[1], -1, -1)
return tonumber(string.match(last[1] or '', '^window:(%d+)$') or 0)
";

/// The same key. `ARGV`: the window in ms (0: more deletions follow in another call), then time in
/// ms and user of each deletion that was found in the archive store. Two processes may do it at
/// once.
pub(super) const RESTORE_COUNT: &str = r"
local kind = redis.call('TYPE', KEYS[1]).ok
if kind ~= 'zset' and kind ~= 'none' then redis.call('DEL', KEYS[1]) end
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
for at = 2, #ARGV, 2 do
  if not redis.call('ZSCORE', KEYS[1], ARGV[at + 1]) then
    local score = string.format('%.0f', math.min(tonumber(ARGV[at]), now))
    redis.call('ZADD', KEYS[1], 'GT', score, 'seen:' .. ARGV[at + 1])
  end
end
if ARGV[1] == '0' then return 1 end
local last = redis.call('ZRANGE', KEYS[1], -1, -1)
local before = tonumber(string.match(last[1] or '', '^window:(%d+)$') or 0)
redis.call('ZREMRANGEBYSCORE', KEYS[1], 'inf', 'inf')
redis.call('ZADD', KEYS[1], 'inf', string.format('window:%.0f', math.max(before, tonumber(ARGV[1]))))
redis.call('PERSIST', KEYS[1])
return 1
";

/// `KEYS[1]` is how many hold objects of a user are stored. Answers `unknown` where another program
/// wrote a key of another type.
pub(super) const NOTED_HOLDS: &str = r"
local kind = redis.call('TYPE', KEYS[1]).ok
if kind == 'none' then return '0' end
if kind ~= 'string' then return 'unknown' end
return redis.call('GET', KEYS[1])
";

/// `KEYS[1]` is a sorted set of a batch's users by the time when they were added; `KEYS[2]` a hash
/// of the last summaries of those whose checkpoints expire. `ARGV`: time in ms, users. Adds users;
/// those who are in the batch stay as they are.
pub(super) const ADD_TO_BATCH: &str = r"
if redis.call('TYPE', KEYS[1]).ok ~= 'zset' then redis.call('DEL', KEYS[1]) end
if redis.call('TYPE', KEYS[2]).ok ~= 'hash' then redis.call('DEL', KEYS[2]) end
for at = 2, #ARGV do redis.call('ZADD', KEYS[1], 'NX', ARGV[1], ARGV[at]) end
if redis.call('HLEN', KEYS[2]) < redis.call('ZCARD', KEYS[1]) then
  redis.call('PERSIST', KEYS[1])
  redis.call('PERSIST', KEYS[2])
end
return 1
";

/// The same keys, and the one of [`KEEP_COLUMNS`]. `ARGV`: time in ms, user, summary, ms that the batch is kept once all
/// of its users are in the hash.
pub(super) const END_IN_BATCH: &str = r"
if redis.call('TYPE', KEYS[1]).ok ~= 'zset' then redis.call('DEL', KEYS[1]) end
if redis.call('TYPE', KEYS[2]).ok ~= 'hash' then redis.call('DEL', KEYS[2]) end
redis.call('ZADD', KEYS[1], 'NX', ARGV[1], ARGV[2])
redis.call('HSET', KEYS[2], ARGV[2], ARGV[3])
if redis.call('HLEN', KEYS[2]) >= redis.call('ZCARD', KEYS[1]) then
  for _, key in ipairs(KEYS) do redis.call('PEXPIRE', key, ARGV[4]) end
else
  redis.call('PERSIST', KEYS[1])
  redis.call('PERSIST', KEYS[2])
end
return 1
";

/// `KEYS[1]` is the sorted set of a batch's users; `KEYS[2]` a sorted set of those who have nothing
/// left to do, by the time of their end, and of a member `changes` that counts its changes.
/// `ARGV`: time in ms, user. Answers the count of changes, once all users of the batch are in
/// `KEYS[2]` and [`BATCH_ANNOUNCED`] has not said it since; else 0.
pub(super) const SETTLE_IN_BATCH: &str = r"
local function score(member) return tonumber(redis.call('ZSCORE', KEYS[2], member) or 0) end
for _, key in ipairs(KEYS) do
  if redis.call('TYPE', key).ok ~= 'zset' then redis.call('DEL', key) end
end
if not redis.call('ZSCORE', KEYS[1], ARGV[2]) then return 0 end
local changes = score('changes')
if score(ARGV[2]) ~= tonumber(ARGV[1]) then
  changes = changes + 1
  redis.call('ZADD', KEYS[2], ARGV[1], ARGV[2], string.format('%.0f', changes), 'changes')
end
local announced = redis.call('ZSCORE', KEYS[2], 'announced')
local others = announced and 2 or 1
if redis.call('ZCARD', KEYS[2]) - others < redis.call('ZCARD', KEYS[1]) then
  redis.call('PERSIST', KEYS[2])
  return 0
end
if announced and tonumber(announced) == changes then return 0 end
return changes
";

/// `KEYS[1]` is the second key of [`SETTLE_IN_BATCH`]. `ARGV`: its count of changes, ms that the set is
/// kept.
pub(super) const BATCH_ANNOUNCED: &str = r"
if redis.call('TYPE', KEYS[1]).ok ~= 'zset' then return 0 end
redis.call('ZADD', KEYS[1], ARGV[1], 'announced')
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1
";

/// `KEYS[1]` is a hash of users and columns of an input file. `ARGV`: ms that they are kept, user, columns, user, …
pub(super) const KEEP_COLUMNS: &str = r"
if redis.call('TYPE', KEYS[1]).ok ~= 'hash' then redis.call('DEL', KEYS[1]) end
for at = 2, #ARGV, 2 do redis.call('HSET', KEYS[1], ARGV[at], ARGV[at + 1]) end
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return 1
";

/// `KEYS[1]` is a sorted set of batches by the time when they were first seen. `ARGV`: time in ms,
/// batch, how many batches are listed at most.
pub(super) const LIST_BATCH: &str = r"
if redis.call('TYPE', KEYS[1]).ok ~= 'zset' then redis.call('DEL', KEYS[1]) end
redis.call('ZADD', KEYS[1], 'NX', ARGV[1], ARGV[2])
redis.call('ZREMRANGEBYRANK', KEYS[1], 0, -1 - tonumber(ARGV[3]))
return 1
";

/// `KEYS[1]` is a sorted set of workers by the time of their last heartbeat in ms; `KEYS[2]` a hash
/// of the heartbeats. `ARGV`: worker, heartbeat, ms of silence after which a worker is forgotten.
pub(super) const ANNOUNCE: &str = r"
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local silent = redis.call('ZRANGE', KEYS[1], '-inf', now - tonumber(ARGV[3]), 'BYSCORE')
for _, worker in ipairs(silent) do redis.call('HDEL', KEYS[2], worker) end
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - tonumber(ARGV[3]))
redis.call('ZADD', KEYS[1], now, ARGV[1])
redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
redis.call('PEXPIRE', KEYS[2], ARGV[3])
return 1
";

/// The same keys. `ARGV`: ms of silence. Answers `{ms, heartbeat}` of each worker that is not
/// silent.
pub(super) const WORKERS: &str = r"
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local seen = redis.call('ZRANGE', KEYS[1], now - tonumber(ARGV[1]), '+inf', 'BYSCORE', 'WITHSCORES')
local said = {}
for at = 1, #seen, 2 do
  said[#said + 1] = {tonumber(seen[at + 1]), redis.call('HGET', KEYS[2], seen[at])}
end
return said
";

/// `KEYS[1]` is written, and expires at once.
pub(super) const PROBE: &str = r"
return redis.call('SET', KEYS[1], '1', 'PX', 1000)
";

/// `ARGV`: owner.
pub(super) const RELEASE: &str = r"
if redis.call('GET', KEYS[2]) ~= ARGV[1] then return 0 end
redis.call('HDEL', KEYS[1], 'unreleased')
return redis.call('DEL', KEYS[2])
";

/// `KEYS[1]` is a hash of what the workers did in a minute. `ARGV`: writer, number of its part, ms that the hash is kept,
/// then a name and a count of each. A part that this writer sent before changes nothing.
pub(super) const ADD_TO_MINUTE: &str = r"
local kind = redis.call('TYPE', KEYS[1]).ok
if kind ~= 'hash' and kind ~= 'none' then redis.call('DEL', KEYS[1]) end
local by = 'by:' .. ARGV[1]
local last = tonumber(redis.call('HGET', KEYS[1], by) or 0) or 0
if last >= tonumber(ARGV[2]) then return 0 end
redis.call('HSET', KEYS[1], by, ARGV[2])
for at = 4, #ARGV, 2 do
  local added = redis.pcall('HINCRBY', KEYS[1], ARGV[at], ARGV[at + 1])
  if type(added) == 'table' and added.err then redis.call('HSET', KEYS[1], ARGV[at], ARGV[at + 1]) end
end
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 1
";

/// The key of [`ADMIT`]. `ARGV`: period in ms. Answers how many deletions count, or -1 when the count is unknown.
pub(super) const COUNT_DELETIONS: &str = r"
if redis.call('TYPE', KEYS[1]).ok ~= 'zset' then return -1 end
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local last = redis.call('ZRANGE', KEYS[1], -1, -1)
local window = tonumber(string.match(last[1] or '', '^window:(%d+)$') or 0)
if window < tonumber(ARGV[1]) then return -1 end
return redis.call('ZCOUNT', KEYS[1], '(' .. string.format('%.0f', now - tonumber(ARGV[1])), '(inf')
";
