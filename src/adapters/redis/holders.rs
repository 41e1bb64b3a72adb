//! Whether the process that has a lease is gone.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use super::connection::RedisConnection;
use super::keys;
use crate::failure::Failure;

/// A process is gone if its presence was, at two looks that are so far apart. A key that vanished early, with a failover or
/// by somebody's hand, is missed at the next refresh, and the process then stops its runs.
const BETWEEN_LOOKS: Duration = Duration::from_secs(1);
/// A presence that is gone so soon is waited for. A process that lives and is sure of it has this left at the least (KEPT less SURE).
const SOON: Duration = Duration::from_secs(1);
/// Added to what is left of a presence, so that it is gone at the next look.
const AFTERWARDS: Duration = Duration::from_millis(20);
/// Processes that were seen to be gone. What is forgotten is seen once more.
const REMEMBERED: usize = 1000;

pub(super) struct Holders {
    connection: Arc<RedisConnection>,
    /// When the presence of a process was first seen to be gone.
    gone: Mutex<HashMap<String, Instant>>,
}

/// What is known of the process that has a lease.
pub(super) enum Holder {
    /// The lease expires by itself only: an earlier release took it.
    Unknown,
    Gone,
    /// It was there; this is the time until it may be worth to look again.
    Present(Duration),
}

impl Holders {
    pub(super) fn new(connection: Arc<RedisConnection>) -> Self {
        Self {
            connection,
            gone: Mutex::default(),
        }
    }

    /// May wait for two seconds, since a trip through the queue would take longer.
    pub(super) async fn look(&self, owner: &str) -> Result<Holder, Failure> {
        let Some((name, _run)) = owner.split_once('/') else {
            return Ok(Holder::Unknown);
        };
        let mut left = self.left(name).await?;
        if let Some(soon) = left.filter(|left| *left <= SOON) {
            tokio::time::sleep(soon + AFTERWARDS).await;
            left = self.left(name).await?;
        }
        if left.is_none() {
            let again = self.gone_since(name) + BETWEEN_LOOKS;
            if Instant::now() < again {
                tokio::time::sleep_until(again).await;
                left = self.left(name).await?;
            }
        }
        Ok(match left {
            None => Holder::Gone,
            Some(left) => {
                self.gone.lock().remove(name);
                Holder::Present(left.saturating_sub(SOON / 2))
            }
        })
    }

    fn gone_since(&self, name: &str) -> Instant {
        let mut gone = self.gone.lock();
        if gone.len() >= REMEMBERED && !gone.contains_key(name) {
            gone.clear();
        }
        *gone.entry(name.to_owned()).or_insert_with(Instant::now)
    }

    async fn left(&self, name: &str) -> Result<Option<Duration>, Failure> {
        let mut command = redis::cmd("PTTL");
        command.arg(keys::presence(name));
        // Redis answers a negative number where there is no such key.
        let left_ms = u64::try_from(self.connection.ask::<i64>(&command).await?);
        Ok(left_ms.ok().map(Duration::from_millis))
    }
}
