//! Pages of a batch in which Redis itself counts users who wait to begin.

use redis::Script;

use super::connection::RedisConnection;
use super::keys;
use crate::failure::Failure;
use crate::job::BatchId;

/// The keys are those of [`ADD_TO_BATCH`](super::scripts::ADD_TO_BATCH). `ARGV`: the first and the last position of the page.
/// Answers how many members the page has; of how many of them nothing is stored, and the time in ms when the first of these was
/// added; and of each other one the member and that time. It uses checkpoints that are not among `KEYS`, and looks for a
/// hundred with one command: those who wait are counted only where a hundred in a row do, and on no page whose first user does
/// not wait. Users begin in about the order in which they were added, and a command costs a script more than a client.
const COUNT_WAITING: &str = r"
local page = redis.call('ZRANGE', KEYS[1], ARGV[1], ARGV[2], 'WITHSCORES')
local any_ended = redis.call('HLEN', KEYS[2]) > 0
local waiting, since, others = 0, '', {}
local function all_wait(members)
  local checkpoints = {}
  for at, member in ipairs(members) do
    if #member ~= 36 then return false end
    checkpoints[at] = 'offboarder:{' .. member .. '}:checkpoint'
  end
  if redis.call('EXISTS', unpack(checkpoints)) > 0 then return false end
  if any_ended then
    for _, ended in ipairs(redis.call('HMGET', KEYS[2], unpack(members))) do
      if ended then return false end
    end
  end
  return true
end
if #page > 0 and not all_wait({page[1]}) then return {#page / 2, 0, '', page} end
for from = 1, #page, 200 do
  local to = math.min(from + 199, #page)
  local members = {}
  for at = from, to, 2 do members[#members + 1] = page[at] end
  if all_wait(members) then
    if waiting == 0 then since = page[from + 1] end
    waiting = waiting + #members
  else
    for at = from, to do others[#others + 1] = page[at] end
  end
end
return {#page / 2, waiting, since, others}
";

/// How many members the page has, how many of them are counted only, when the first of these was added in ms (empty if there
/// is none), and the others with the time when each was added.
pub(super) type Counted = (usize, u64, String, Vec<(Vec<u8>, f64)>);

pub(super) struct CountWaiting {
    script: Script,
}

impl CountWaiting {
    pub(super) fn new() -> Self {
        Self {
            script: Script::new(COUNT_WAITING),
        }
    }

    /// No script of a cluster may use keys of several slots.
    pub(super) async fn run(
        &self,
        connection: &RedisConnection,
        batch: &BatchId,
        from: usize,
        count: usize,
    ) -> Result<Counted, Failure> {
        let mut script = self.script.prepare_invoke();
        script
            .key(keys::batch_users(batch))
            .key(keys::batch_ended(batch))
            .arg(from)
            .arg(from + count - 1);
        connection.run(&script).await
    }
}
