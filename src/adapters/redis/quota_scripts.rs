//! The Lua of the shared quotas.

/// A sliding window. `KEYS[1]` is the time, in µs since 1970, before which no slot is used; `KEYS[2]` a sorted set of the
/// processes that reserved in the last 30 s; `KEYS[3]` one of the slots by the time when each is free; `KEYS[4]` the time
/// before which no slot is used that was free for some time; `KEYS[5]` exists after a 429. `ARGV`: window in µs, slots,
/// count, process; then slot, the time until which it was held, and when it is free, of each slot that was used. A slot is
/// held for two windows if nobody says when it is free. Answers the time, the number of processes, whether there was a 429,
/// and slot, due time and time until which it is held, of each that is reserved. A process with another number of slots, as when the
/// setting is being changed, takes the last ones away, or adds some that are free one window later. Times that are too far ahead are of another
/// clock and do not count.
pub(super) const RESERVE: &str = r"
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local window = tonumber(ARGV[1])
local slots = tonumber(ARGV[2])
local function whole(number) return string.format('%.0f', number) end
local ready = math.max(tonumber(redis.call('GET', KEYS[1]) or 0) or 0, now)
if ready > now + 3600000000 then ready = now end
local pace = tonumber(redis.call('GET', KEYS[4]) or 0) or 0
if pace > ready + window then pace = 0 end
if redis.call('TYPE', KEYS[3]).ok ~= 'zset' then redis.call('DEL', KEYS[3]) end
local have = redis.call('ZCARD', KEYS[3])
if have == 0 then
  for slot = 0, slots - 1 do redis.call('ZADD', KEYS[3], whole(now + slot * window / slots), slot) end
elseif have > slots then
  redis.call('ZREMRANGEBYRANK', KEYS[3], slots, -1)
elseif have < slots then
  for slot = 0, slots - 1 do redis.call('ZADD', KEYS[3], 'NX', whole(now + window), slot) end
end
for at = 5, #ARGV, 3 do
  if tonumber(redis.call('ZSCORE', KEYS[3], ARGV[at])) == tonumber(ARGV[at + 1]) then
    redis.call('ZADD', KEYS[3], ARGV[at + 2], ARGV[at])
  end
end
local answer = {now, 0, redis.call('GET', KEYS[5]) and 1 or 0}
local first = redis.call('ZRANGE', KEYS[3], 0, tonumber(ARGV[3]) - 1, 'WITHSCORES')
local last = now
for at = 1, #first, 2 do
  local due = tonumber(first[at + 1])
  if due > now + 3600000000 + 2 * window then due = now + window end
  if due > now + window then break end
  if due <= ready then
    due = math.max(ready, pace)
    pace = due + window / slots / 2
    redis.call('SET', KEYS[4], whole(pace), 'PX', math.ceil((pace - now) / 1000) + 1000)
  end
  due = math.floor(due)
  local held = due + 2 * window
  redis.call('ZADD', KEYS[3], whole(held), first[at])
  answer[#answer + 1] = tonumber(first[at])
  answer[#answer + 1] = due
  answer[#answer + 1] = held
  last = held
end
redis.call('PEXPIRE', KEYS[3], math.ceil((last - now) / 1000) + math.ceil(window / 1000) + 60000)
redis.call('ZADD', KEYS[2], whole(now), ARGV[4])
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', whole(now - 30000000))
redis.call('EXPIRE', KEYS[2], 60)
answer[2] = redis.call('ZCARD', KEYS[2])
return answer
";

/// The same first key; `KEYS[2]` is the fifth. `ARGV`: pause in µs, ms for which a 429 counts, or 0. No slot is used before the
/// pause is over.
pub(super) const COOL_DOWN: &str = r"
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local due = math.max(tonumber(redis.call('GET', KEYS[1]) or 0) or 0, now + tonumber(ARGV[1]))
if due > now + 3600000000 then due = now + tonumber(ARGV[1]) end
redis.call('SET', KEYS[1], string.format('%.0f', due), 'PX', math.ceil((due - now) / 1000) + 1000)
if ARGV[2] ~= '0' then redis.call('SET', KEYS[2], 1, 'PX', ARGV[2]) end
return 1
";
