//! Users whom a release was about to give up, counted over its workers. Written only when a user fails: a user who gets
//! through costs no round trip, since its worker counts it in its own memory and sends that count with the next fault.

use std::sync::Arc;

use async_trait::async_trait;
use redis::Script;

use super::connection::{RedisConnection, millis};
use super::keys;
use crate::failure::Failure;
use crate::ports::{SURGE_WINDOW, SurgeCount, SurgeHit, Surges};

/// `KEYS[1]` is a sorted set of the users with one fault by time, `KEYS[2]` a sorted set of what each worker counted in a
/// minute (member `MINUTE WORKER`, score: users), `KEYS[3]` a hash of releases and when their surges were lifted. `ARGV`:
/// user, release, worker, window in ms, how many users are a surge, then minute and count of this worker. What another program wrote is dropped.
const COUNT: &str = r"
for place, kind in ipairs({'zset', 'zset', 'hash'}) do
  local found = redis.call('TYPE', KEYS[place]).ok
  if found ~= kind and found ~= 'none' then redis.call('DEL', KEYS[place]) end
end
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local window = tonumber(ARGV[4])
local lifted = tonumber(redis.call('HGET', KEYS[3], ARGV[2]) or 0) or 0
local function ms(number) return string.format('%.0f', number) end
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', ms(math.max(now - window, lifted)))
redis.call('ZADD', KEYS[1], ms(now), ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[4])
for place = 6, #ARGV, 2 do
  redis.call('ZADD', KEYS[2], ARGV[place + 1], ARGV[place] .. ' ' .. ARGV[3])
  redis.call('PEXPIRE', KEYS[2], ARGV[4])
end
local passed = 0
local parts = redis.call('ZRANGE', KEYS[2], 0, -1, 'WITHSCORES')
for place = 1, #parts, 2 do
  local minute = tonumber(string.match(parts[place], '^(%d+) '))
  if minute and minute * 60000 > now - window and minute * 60000 < now + window then
    passed = passed + tonumber(parts[place + 1])
  else
    redis.call('ZREM', KEYS[2], parts[place])
  end
end
local failed = redis.call('ZCARD', KEYS[1])
if failed >= tonumber(ARGV[5]) and passed < failed then
  for _, user in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
    redis.call('ZADD', KEYS[1], ms(now), user)
  end
end
return {failed, math.floor(passed), lifted}
";

/// `KEYS[1]` is the hash of releases. `ARGV`: release. A second lift within one millisecond is the same.
const LIFT: &str = r"
if redis.call('TYPE', KEYS[1]).ok ~= 'hash' then redis.call('DEL', KEYS[1]) end
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
return redis.call('HSET', KEYS[1], ARGV[1], string.format('%.0f', now))
";

pub(crate) struct RedisSurges {
    connection: Arc<RedisConnection>,
    count: Script,
    lift: Script,
}

impl RedisSurges {
    pub(crate) fn new(connection: Arc<RedisConnection>) -> Self {
        Self {
            connection,
            count: Script::new(COUNT),
            lift: Script::new(LIFT),
        }
    }
}

#[async_trait]
impl Surges for RedisSurges {
    async fn count(&self, hit: &SurgeHit<'_>) -> Result<SurgeCount, Failure> {
        let mut script = self.count.prepare_invoke();
        script
            .key(keys::surge(hit.release, hit.step, hit.fingerprint))
            .key(keys::surge(hit.release, hit.step, "passed"))
            .key(keys::SURGES_LIFTED)
            .arg(hit.user_id.to_string())
            .arg(hit.release)
            .arg(hit.worker)
            .arg(millis(SURGE_WINDOW))
            .arg(hit.surge_users);
        for (minute, users) in hit.passed {
            script.arg(*minute).arg(*users);
        }
        let counted: (u64, u64, u64) = self.connection.run(&script).await?;
        Ok(SurgeCount {
            failed: counted.0,
            passed: counted.1,
            lifted: counted.2,
        })
    }

    async fn lifted(&self, release: &str) -> Result<u64, Failure> {
        let mut command = redis::cmd("HGET");
        command.arg(keys::SURGES_LIFTED).arg(release);
        let lifted: Option<u64> = self.connection.ask(&command).await?;
        Ok(lifted.unwrap_or(0))
    }

    async fn lift(&self, release: &str) -> Result<(), Failure> {
        let mut script = self.lift.prepare_invoke();
        script.key(keys::SURGES_LIFTED).arg(release);
        self.connection.run::<u64>(&script).await.map(drop)
    }
}
