//! The Lua scripts of operations. Each is one atomic step, and may run twice with the same effect as once. All keys
//! have one hash tag, so that a cluster keeps them in one slot.
//!
//! The lease of a line is a string, the fence of its holder. An operation is a hash of `head`, `state`, `by`, `begun`,
//! `stop`, `pace` (in ms), `trouble`, `vain` (how many processes in a row died on it without a result), `endedAt`,
//! `error`, and a counter `c:WORD` for each word that says what became of an item; and a hash
//! of the results by the position of the item. The open operations are a sorted set of `KIND:ID` by time, and a member
//! `complete` behind them all, as long as the set was not lost. A key of another type is removed.

/// `KEYS`: the open ones, the operation. `ARGV`: time in ms, member, head, ms that it is kept.
pub(super) const OPEN: &str = r"
local function of_kind(key, kind)
  local found = redis.call('TYPE', key).ok
  if found ~= kind and found ~= 'none' then redis.call('DEL', key) end
end
of_kind(KEYS[1], 'zset')
of_kind(KEYS[2], 'hash')
redis.call('ZADD', KEYS[1], 'NX', ARGV[1], ARGV[2])
if not redis.call('HGET', KEYS[2], 'state') then redis.call('HSET', KEYS[2], 'state', 'frozen') end
redis.call('HSET', KEYS[2], 'head', ARGV[3])
redis.call('PEXPIRE', KEYS[2], ARGV[4])
return 1
";

/// `KEYS`: the open ones. Answers the members.
pub(super) const LIST_OPEN: &str = r"
if redis.call('TYPE', KEYS[1]).ok ~= 'zset' then return {} end
return redis.call('ZRANGE', KEYS[1], 0, -1)
";

/// `KEYS`: the open ones. `ARGV`: time in ms and member of each.
pub(super) const RESTORE: &str = r"
local kind = redis.call('TYPE', KEYS[1]).ok
if kind ~= 'zset' and kind ~= 'none' then redis.call('DEL', KEYS[1]) end
for at = 1, #ARGV, 2 do redis.call('ZADD', KEYS[1], 'NX', ARGV[at], ARGV[at + 1]) end
redis.call('ZADD', KEYS[1], 'inf', 'complete')
return 1
";

/// `KEYS`: the lease of the line, the operation, the open ones. `ARGV`: fence, lease time in ms, the process, time in
/// ms, member, ms that the operation is kept. Answers `{0, remaining ms, '', ''}` when another fence has the lease, else
/// `{1, 0, stop, pace}`.
pub(super) const CLAIM: &str = r"
local function of_kind(key, kind)
  local found = redis.call('TYPE', key).ok
  if found ~= kind and found ~= 'none' then redis.call('DEL', key) end
end
of_kind(KEYS[1], 'string')
of_kind(KEYS[2], 'hash')
of_kind(KEYS[3], 'zset')
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then
  local left = redis.call('PTTL', KEYS[1])
  if left < 0 or left > 3600000 then
    redis.call('PEXPIRE', KEYS[1], ARGV[2])
    left = tonumber(ARGV[2])
  end
  return {0, left, '', ''}
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
redis.call('ZADD', KEYS[3], 'NX', ARGV[4], ARGV[5])
if not holder then
  if not tonumber(redis.call('HGET', KEYS[2], 'begun') or 0) then redis.call('HDEL', KEYS[2], 'begun') end
  redis.call('HINCRBY', KEYS[2], 'begun', 1)
  if not tonumber(redis.call('HGET', KEYS[2], 'vain') or 0) then redis.call('HDEL', KEYS[2], 'vain') end
  redis.call('HINCRBY', KEYS[2], 'vain', 1)
  redis.call('HSET', KEYS[2], 'state', 'running', 'by', ARGV[3])
  redis.call('HDEL', KEYS[2], 'trouble')
end
redis.call('PEXPIRE', KEYS[2], ARGV[6])
return {1, 0, redis.call('HGET', KEYS[2], 'stop') or '', redis.call('HGET', KEYS[2], 'pace') or ''}
";

/// `KEYS`: the lease of the line, the operation. `ARGV`: fence, lease time in ms. Answers `{0, '', ''}` when the lease
/// is lost, else `{1, stop, pace}`.
pub(super) const RENEW: &str = r"
if redis.call('TYPE', KEYS[1]).ok ~= 'string' or redis.call('GET', KEYS[1]) ~= ARGV[1] then return {0, '', ''} end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return {1, redis.call('HGET', KEYS[2], 'stop') or '', redis.call('HGET', KEYS[2], 'pace') or ''}
";

/// The same keys. `ARGV`: fence, why it does not get on (empty: it does).
pub(super) const RELEASE: &str = r"
if redis.call('TYPE', KEYS[1]).ok ~= 'string' or redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('HDEL', KEYS[2], 'vain')
if ARGV[2] == '' then redis.call('HDEL', KEYS[2], 'trouble') else redis.call('HSET', KEYS[2], 'trouble', ARGV[2]) end
return redis.call('DEL', KEYS[1])
";

/// `KEYS`: the lease of the line, the operation, its results. `ARGV`: fence, lease time in ms, position, result, the
/// counter, ms that both are kept. Answers 0 when the lease is lost.
pub(super) const NOTE: &str = r"
if redis.call('TYPE', KEYS[1]).ok ~= 'string' or redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
local kind = redis.call('TYPE', KEYS[3]).ok
if kind ~= 'hash' and kind ~= 'none' then redis.call('DEL', KEYS[3]) end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
if not redis.call('HGET', KEYS[3], ARGV[3]) then
  redis.call('HSET', KEYS[3], ARGV[3], ARGV[4])
  if not tonumber(redis.call('HGET', KEYS[2], ARGV[5]) or 0) then redis.call('HDEL', KEYS[2], ARGV[5]) end
  redis.call('HINCRBY', KEYS[2], ARGV[5], 1)
end
redis.call('HDEL', KEYS[2], 'vain')
redis.call('PEXPIRE', KEYS[2], ARGV[6])
redis.call('PEXPIRE', KEYS[3], ARGV[6])
return 1
";

/// `KEYS`: the operation. `ARGV`: field, value, ms that it is kept, `1` if the first value counts.
pub(super) const ORDER: &str = r"
local kind = redis.call('TYPE', KEYS[1]).ok
if kind ~= 'hash' and kind ~= 'none' then redis.call('DEL', KEYS[1]) end
if ARGV[4] ~= '1' or not redis.call('HGET', KEYS[1], ARGV[1]) then redis.call('HSET', KEYS[1], ARGV[1], ARGV[2]) end
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 1
";

/// `KEYS`: the lease of the line, the operation, the open ones, the results. `ARGV`: ID, member, ms that the operation
/// is kept, and fields with their values. The end in the archive store has the results.
pub(super) const END: &str = r"
if redis.call('TYPE', KEYS[1]).ok == 'string' and string.sub(redis.call('GET', KEYS[1]), 1, #ARGV[1]) == ARGV[1] then
  redis.call('DEL', KEYS[1])
end
if redis.call('TYPE', KEYS[3]).ok == 'zset' then redis.call('ZREM', KEYS[3], ARGV[2]) end
local kind = redis.call('TYPE', KEYS[2]).ok
if kind ~= 'hash' and kind ~= 'none' then redis.call('DEL', KEYS[2]) end
for at = 4, #ARGV, 2 do redis.call('HSET', KEYS[2], ARGV[at], ARGV[at + 1]) end
redis.call('HDEL', KEYS[2], 'trouble', 'vain')
redis.call('PEXPIRE', KEYS[2], ARGV[3])
redis.call('DEL', KEYS[4])
return 1
";
