//! The scripts. Both keys of a user share a hash tag, so that a cluster keeps them in one slot.
//!
//! `KEYS[1]` is the checkpoint, a hash of `version`, `fence`, `body`, `sum` (the version, a space, and the user's
//! summary for batches), `code` (the fence of the save, a space, and the integrity code) and `unreleased`; `KEYS[2]` is the
//! lease, whose value is the owner.
//!
//! What another program wrote there is no reason to stop: a key of another kind is removed, a number that is none
//! counts as 0, and a body that is too long as absent.

/// `ARGV`: owner, time to live in ms, ms that a checkpoint is kept at least from here on. Gives `{0, remaining ms}` or
/// `{1, fence, version, body, claims that were never released, this one included, code}`. Claiming twice with one owner is
/// one claim. A hash without a checkpoint expires, unless a save follows.
pub(super) const CLAIM: &str = r"
local function of_kind(key, kind)
  local found = redis.call('TYPE', key).ok
  if found ~= kind and found ~= 'none' then redis.call('DEL', key) end
end
of_kind(KEYS[1], 'hash')
of_kind(KEYS[2], 'string')
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
if holder and holder ~= ARGV[1] then
  local left = redis.call('PTTL', KEYS[2])
  if left < 0 or left > 3600000 then
    redis.call('PEXPIRE', KEYS[2], ARGV[2])
    left = tonumber(ARGV[2])
  end
  return {0, left}
end
redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[2])
local fence, unreleased = number('fence'), number('unreleased')
if not holder then
  fence = set('fence', fence + 1)
  unreleased = set('unreleased', unreleased + 1)
end
local version = number('version')
local left = redis.call('PTTL', KEYS[1])
if left < tonumber(ARGV[3]) and (left >= 0 or version == 0) then redis.call('PEXPIRE', KEYS[1], ARGV[3]) end
local body = redis.call('HGET', KEYS[1], 'body') or ''
if #body > 8388608 then body = '' end
local code = redis.call('HGET', KEYS[1], 'code') or ''
return {1, fence, version, body, math.max(unreleased, 1), code}
";

/// `ARGV`: owner, time to live in ms, fence, expected version, body, summary, ms that the checkpoint is kept from here
/// on (0: for ever), code. Gives the new version, or 0 when the lease or the version is another's. Saving the same twice is
/// one save, so that a save whose answer was lost can be sent again.
pub(super) const SAVE: &str = r"
if redis.call('GET', KEYS[2]) ~= ARGV[1] then return 0 end
local stored = redis.call('HMGET', KEYS[1], 'fence', 'version')
if tonumber(stored[1] or 0) ~= tonumber(ARGV[3]) then return 0 end
local version = tonumber(stored[2] or 0)
local expected = tonumber(ARGV[4])
if version == expected then
  local sum = string.format('%.0f ', expected + 1) .. ARGV[6]
  redis.call('HSET', KEYS[1], 'version', expected + 1, 'body', ARGV[5], 'sum', sum, 'code', ARGV[8])
elseif version ~= expected + 1 or redis.call('HGET', KEYS[1], 'body') ~= ARGV[5] then
  return 0
end
if ARGV[7] == '0' then redis.call('PERSIST', KEYS[1]) else redis.call('PEXPIRE', KEYS[1], ARGV[7]) end
redis.call('PEXPIRE', KEYS[2], ARGV[2])
return expected + 1
";

/// `ARGV`: owner, time to live in ms. Gives 1 when the lease is still the owner's.
pub(super) const RENEW: &str = r"
if redis.call('GET', KEYS[2]) ~= ARGV[1] then return 0 end
return redis.call('PEXPIRE', KEYS[2], ARGV[2])
";

/// `KEYS[1]` is a sorted set: who was deleted, by time, and one member `window:MS` that sorts behind them all. It says
/// that no deletion of so many ms is missing, so that a set that was lost or removed is not taken for an empty one.
/// `seen:USER` is a user whose deletion [`RESTORE_BRAKE`] concluded from the archive store; one who asks was not deleted
/// yet. `ARGV`: user, count, time in
/// ms. Gives 0 when the deletion is counted, the ms until enough of them no longer count, or -1 when it is not known
/// how many there were.
pub(super) const BRAKE: &str = r"
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

/// The same key. Gives how many ms the count reaches back.
pub(super) const BRAKE_REACH: &str = r"
if redis.call('TYPE', KEYS[1]).ok ~= 'zset' then return 0 end
local last = redis.call('ZRANGE', KEYS[1], -1, -1)
return tonumber(string.match(last[1] or '', '^window:(%d+)$') or 0)
";

/// The same key. `ARGV`: the window in ms (0: more is to come), then the time in ms and the user of each deletion that
/// was seen in the archive store. Two that do it at once do no harm.
pub(super) const RESTORE_BRAKE: &str = r"
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

/// `KEYS[1]` is how many acts on a user's hold are stored. What is no text was not written by us: one more than can be.
pub(super) const NOTED_HOLDS: &str = r"
local kind = redis.call('TYPE', KEYS[1]).ok
if kind == 'none' then return '0' end
if kind ~= 'string' then return 'unknown' end
return redis.call('GET', KEYS[1])
";

/// `KEYS[1]` is a sorted set of a batch's users by the time when they came; `KEYS[2]` a hash of the last summary of those
/// whose checkpoints expire. `ARGV`: time in ms, users. Puts users into the batch; those who are in it stay as they are.
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

/// The same keys. `ARGV`: time in ms, user, summary, ms that a batch is kept once all of its users are in the hash.
pub(super) const END_IN_BATCH: &str = r"
if redis.call('TYPE', KEYS[1]).ok ~= 'zset' then redis.call('DEL', KEYS[1]) end
if redis.call('TYPE', KEYS[2]).ok ~= 'hash' then redis.call('DEL', KEYS[2]) end
redis.call('ZADD', KEYS[1], 'NX', ARGV[1], ARGV[2])
redis.call('HSET', KEYS[2], ARGV[2], ARGV[3])
for _, key in ipairs(KEYS) do
  if redis.call('HLEN', KEYS[2]) >= redis.call('ZCARD', KEYS[1]) then
    redis.call('PEXPIRE', key, ARGV[4])
  else
    redis.call('PERSIST', key)
  end
end
return 1
";

/// `KEYS[1]` is a sorted set of batches by the time when they were first seen. `ARGV`: time in ms, batch, how many are
/// listed at most.
pub(super) const LIST_BATCH: &str = r"
if redis.call('TYPE', KEYS[1]).ok ~= 'zset' then redis.call('DEL', KEYS[1]) end
redis.call('ZADD', KEYS[1], 'NX', ARGV[1], ARGV[2])
redis.call('ZREMRANGEBYRANK', KEYS[1], 0, -1 - tonumber(ARGV[3]))
return 1
";

/// `KEYS[1]` is when the next place is, in µs since 1970; `KEYS[2]` a sorted set of the workers that reserved
/// lately. `ARGV`: interval in µs, count, worker. Gives the µs until the first place, and how many workers. A place that
/// is more than an hour away was not reserved by us.
pub(super) const RESERVE: &str = r"
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local due = math.max(tonumber(redis.call('GET', KEYS[1]) or 0) or 0, now)
if due > now + 3600000000 then due = now end
local after = due + tonumber(ARGV[1]) * tonumber(ARGV[2])
redis.call('SET', KEYS[1], string.format('%.0f', after), 'PX', math.ceil((after - now) / 1000) + 1000)
redis.call('ZADD', KEYS[2], string.format('%.0f', now), ARGV[3])
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', string.format('%.0f', now - 30000000))
redis.call('EXPIRE', KEYS[2], 60)
return {due - now, redis.call('ZCARD', KEYS[2])}
";

/// `KEYS[1]` as above. `ARGV`: pause in µs.
pub(super) const COOL_DOWN: &str = r"
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local due = math.max(tonumber(redis.call('GET', KEYS[1]) or 0) or 0, now + tonumber(ARGV[1]))
if due > now + 3600000000 then due = now + tonumber(ARGV[1]) end
redis.call('SET', KEYS[1], string.format('%.0f', due), 'PX', math.ceil((due - now) / 1000) + 1000)
return 1
";

/// `KEYS[1]` is a sorted set of workers by the ms when they last spoke; `KEYS[2]` what they said. `ARGV`: worker, what
/// it says, ms of silence after which one is forgotten.
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

/// The same keys. `ARGV`: ms of silence. Gives `{ms, what it said}` of each worker that spoke since.
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

/// `ARGV`: owner.
pub(super) const RELEASE: &str = r"
if redis.call('GET', KEYS[2]) ~= ARGV[1] then return 0 end
redis.call('HDEL', KEYS[1], 'unreleased')
return redis.call('DEL', KEYS[2])
";
