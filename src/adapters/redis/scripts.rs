//! The scripts. Both keys of a user share a hash tag, so that a cluster keeps them in one slot.
//!
//! `KEYS[1]` is the checkpoint, a hash of `version`, `fence`, `body`, `sum` (the version, a space, and the user's
//! summary for batches), `code` (the fence of the save, a space, and the integrity code) and `unreleased`; `KEYS[2]` is the lease, whose value is the owner.

/// `ARGV`: owner, time to live in ms. Gives `{0, remaining ms}` or `{1, fence, version, body, claims that were
/// never released, this one included, code}`. Claiming twice with one owner is one claim.
pub(super) const CLAIM: &str = r"
local holder = redis.call('GET', KEYS[2])
if holder and holder ~= ARGV[1] then
  return {0, redis.call('PTTL', KEYS[2])}
end
redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[2])
local fence
if holder then
  fence = redis.call('HGET', KEYS[1], 'fence')
else
  fence = redis.call('HINCRBY', KEYS[1], 'fence', 1)
  redis.call('HINCRBY', KEYS[1], 'unreleased', 1)
end
local stored = redis.call('HMGET', KEYS[1], 'version', 'body', 'unreleased', 'code')
return {1, tonumber(fence), tonumber(stored[1] or 0), stored[2] or '', tonumber(stored[3] or 1), stored[4] or ''}
";

/// `ARGV`: owner, time to live in ms, fence, expected version, body, summary, code. Gives the new version, or 0
/// when the lease or the version is another's. Saving the same twice is one save, so that a save
/// whose answer was lost can be sent again.
pub(super) const SAVE: &str = r"
if redis.call('GET', KEYS[2]) ~= ARGV[1] then return 0 end
local stored = redis.call('HMGET', KEYS[1], 'fence', 'version')
if tonumber(stored[1] or 0) ~= tonumber(ARGV[3]) then return 0 end
local version = tonumber(stored[2] or 0)
local expected = tonumber(ARGV[4])
if version == expected then
  local sum = string.format('%.0f ', expected + 1) .. ARGV[6]
  redis.call('HSET', KEYS[1], 'version', expected + 1, 'body', ARGV[5], 'sum', sum, 'code', ARGV[7])
elseif version ~= expected + 1 or redis.call('HGET', KEYS[1], 'body') ~= ARGV[5] then
  return 0
end
redis.call('PEXPIRE', KEYS[2], ARGV[2])
return expected + 1
";

/// `ARGV`: owner, time to live in ms. Gives 1 when the lease is still the owner's.
pub(super) const RENEW: &str = r"
if redis.call('GET', KEYS[2]) ~= ARGV[1] then return 0 end
return redis.call('PEXPIRE', KEYS[2], ARGV[2])
";

/// `KEYS[1]` is a sorted set: who was deleted, by time. `ARGV`: user, count, time in ms. Gives 0 when the
/// deletion is counted, or the ms until the oldest one no longer counts.
pub(super) const BRAKE: &str = r"
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - tonumber(ARGV[3]))
if redis.call('ZSCORE', KEYS[1], ARGV[1]) then return 0 end
if redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[2]) then
  local oldest = redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')
  return math.max(1, tonumber(oldest[2]) + tonumber(ARGV[3]) - now)
end
redis.call('ZADD', KEYS[1], now, ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 0
";

/// `KEYS[1]` is how many acts on a user's hold are stored. `ARGV`: the number; it never goes down.
pub(super) const NOTE_HOLDS: &str = r"
local noted = tonumber(redis.call('GET', KEYS[1]) or 0) or 0
if noted < tonumber(ARGV[1]) then redis.call('SET', KEYS[1], ARGV[1]) end
return 1
";

/// `KEYS[1]` is when the next place is, in µs since 1970; `KEYS[2]` a sorted set of the workers that reserved
/// lately. `ARGV`: interval in µs, count, worker. Gives the µs until the first place, and how many workers.
pub(super) const RESERVE: &str = r"
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local due = math.max(tonumber(redis.call('GET', KEYS[1]) or 0), now)
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
local due = math.max(tonumber(redis.call('GET', KEYS[1]) or 0), now + tonumber(ARGV[1]))
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
