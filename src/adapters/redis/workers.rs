//! Which workers there are: a sorted set of their names by the time when they last announced themselves, and a hash
//! of what they said. Whoever announces itself takes out those that are silent, so it does not grow.

use jiff::Timestamp;
use redis::Script;

use super::{RedisCheckpoints, scripts};
use crate::failure::Failure;
use crate::ports::{Announced, Announcement, SILENT};

const SEEN: &str = "offboarder:{workers}:seen";
const SAID: &str = "offboarder:{workers}:said";

fn silent_ms() -> u64 {
    u64::try_from(SILENT.as_millis()).unwrap_or(u64::MAX)
}

impl RedisCheckpoints {
    /// Says that a worker lives.
    pub(crate) async fn announce(&self, worker: &Announcement) -> Result<(), Failure> {
        let body = serde_json::to_string(worker)
            .map_err(|error| Failure::internal("cannot write the entry of a worker", error))?;
        let script = Script::new(scripts::ANNOUNCE);
        let mut script = script.prepare_invoke();
        script
            .key(SEEN)
            .key(SAID)
            .arg(&worker.name)
            .arg(body)
            .arg(silent_ms());
        self.run::<u64>(&script).await.map(|_done| ())
    }

    /// Those that live, by name. What a later release says and this one cannot read is left out.
    pub(crate) async fn workers(&self) -> Result<Vec<Announced>, Failure> {
        let script = Script::new(scripts::WORKERS);
        let mut script = script.prepare_invoke();
        script.key(SEEN).key(SAID).arg(silent_ms());
        let said: Vec<(i64, Option<Vec<u8>>)> = self.run(&script).await?;
        let mut workers: Vec<Announced> = said
            .into_iter()
            .filter_map(|(seen_at, body)| {
                let worker = serde_json::from_slice(&body?).ok()?;
                Some(Announced {
                    worker,
                    seen_at: Timestamp::from_millisecond(seen_at).ok()?,
                })
            })
            .collect();
        workers.sort_by(|one, other| one.worker.name.cmp(&other.worker.name));
        Ok(workers)
    }
}
