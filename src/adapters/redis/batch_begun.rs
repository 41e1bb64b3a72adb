//! Pages of a batch in which Redis itself counts the users who wait to begin.

use redis::Script;

use super::connection::RedisConnection;
use super::keys;
use crate::failure::Failure;
use crate::job::BatchId;

/// The keys are those of [`ADD_TO_BATCH`](super::scripts::ADD_TO_BATCH). `ARGV`: the first and the last position of the page.
/// Answers how many members the page has; of how many of them nothing is stored, and the time in ms when the first of these was
/// added; and of each other one the member and that time. It uses checkpoints that are not among `KEYS`, a
/// hundred in one command where nobody may have begun.
const BEGUN: &str = r"
local page = redis.call('ZRANGE', KEYS[1], ARGV[1], ARGV[2], 'WITHSCORES')
local any_ended = redis.call('HLEN', KEYS[2]) > 0
local waiting, since, others = 0, '', {}
local function key(member) return 'offboarder:{' .. member .. '}:checkpoint' end
local function waits(member)
  return #member == 36 and redis.call('EXISTS', key(member)) == 0 and not (any_ended and redis.call('HGET', KEYS[2], member))
end
for from = 1, #page, 200 do
  local to = math.min(from + 199, #page)
  local all_wait = not any_ended
  if all_wait then
    local checkpoints = {}
    for at = from, to, 2 do
      all_wait = all_wait and #page[at] == 36
      checkpoints[#checkpoints + 1] = key(page[at])
    end
    all_wait = all_wait and redis.call('EXISTS', unpack(checkpoints)) == 0
  end
  for at = from, to, 2 do
    if all_wait or waits(page[at]) then
      waiting = waiting + 1
      if waiting == 1 then since = page[at + 1] end
    else
      others[#others + 1] = page[at]
      others[#others + 1] = page[at + 1]
    end
  end
end
return {#page / 2, waiting, since, others}
";

/// A page, as it was counted.
pub(super) struct Counted {
    /// How many members the page has.
    pub(super) all: usize,
    pub(super) not_begun: u64,
    /// When the first of these was added, in ms; empty if there is none.
    pub(super) not_begun_since: String,
    /// The others, and when each was added.
    pub(super) others: Vec<(Vec<u8>, f64)>,
}

pub(super) struct BatchBegun {
    script: Script,
}

impl BatchBegun {
    pub(super) fn new() -> Self {
        Self {
            script: Script::new(BEGUN),
        }
    }

    /// `None` where a script may not use the keys of other slots.
    pub(super) async fn count(
        &self,
        connection: &RedisConnection,
        batch: &BatchId,
        from: usize,
        count: usize,
    ) -> Result<Option<Counted>, Failure> {
        if connection.uses_slots().await? {
            return Ok(None);
        }
        let mut script = self.script.prepare_invoke();
        script
            .key(keys::batch_users(batch))
            .key(keys::batch_ended(batch))
            .arg(from)
            .arg(from + count - 1);
        let (all, not_begun, not_begun_since, others) = connection.run(&script).await?;
        Ok(Some(Counted {
            all,
            not_begun,
            not_begun_since,
            others,
        }))
    }
}
