//! Pages of a batch in which Redis itself counts the users who wait to begin.

use redis::Script;

use super::batches::{RedisBatches, members, time};
use super::keys;
use crate::failure::Failure;
use crate::job::BatchId;
use crate::ports::batches::{Batches as _, Begun, Members};

/// The keys are those of [`ADD_TO_BATCH`](super::scripts::ADD_TO_BATCH). `ARGV`: the first and the last position of the page.
/// Answers how many members the page has; of how many of them nothing is stored, and the time in ms when the first of these was
/// added; and of each other one the member and that time. It uses checkpoints that are not among `KEYS`.
const BEGUN: &str = r"
local page = redis.call('ZRANGE', KEYS[1], ARGV[1], ARGV[2], 'WITHSCORES')
local any_ended = redis.call('HLEN', KEYS[2]) > 0
local waiting, since, others = 0, '', {}
for at = 1, #page, 2 do
  local member = page[at]
  if string.find(member, '^%x+%-%x+%-%x+%-%x+%-%x+$')
    and redis.call('HLEN', 'offboarder:{' .. member .. '}:checkpoint') == 0
    and not (any_ended and redis.call('HGET', KEYS[2], member)) then
    waiting = waiting + 1
    if waiting == 1 then since = page[at + 1] end
  else
    others[#others + 1] = member
    others[#others + 1] = page[at + 1]
  end
end
return {#page / 2, waiting, since, others}
";

/// The answer of [`BEGUN`].
type Counted = (usize, u64, String, Vec<(Vec<u8>, f64)>);

pub(super) fn script() -> Script {
    Script::new(BEGUN)
}

impl RedisBatches {
    pub(super) async fn begun_in(
        &self,
        batch: &BatchId,
        from: usize,
        count: usize,
    ) -> Result<Begun, Failure> {
        if self.connection.uses_slots().await? {
            // A script may not use the keys of other slots.
            let page = self.page(batch, from, count).await?;
            return Ok(Begun::unsorted(page));
        }
        let mut script = self.begun.prepare_invoke();
        script
            .key(keys::batch_users(batch))
            .key(keys::batch_ended(batch))
            .arg(from)
            .arg(from + count - 1);
        let counted: Counted = self.connection.run(&script).await?;

        let (users, added_at) = members(counted.3);
        Ok(Begun {
            members: Members {
                users,
                added_at,
                next: (counted.0 == count).then_some(from + count),
            },
            not_begun: counted.1,
            not_begun_since: counted.2.parse().ok().map(time),
        })
    }
}
