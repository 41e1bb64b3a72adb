//! Leases that could not be released when their run ended. Until they are, nobody else gets the user, and the next claim
//! would count a death.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use parking_lot::Mutex;
use redis::Script;
use tokio::sync::Mutex as AsyncMutex;
use tokio::time::{Instant, timeout};
use tokio_util::task::AbortOnDropHandle;

use super::connection::RedisConnection;
use super::presence::Presence;
use super::{keys, scripts};
use crate::failure::Failure;
use crate::ports::Lease;

/// More of them expire by themselves.
const AT_MOST: usize = 10_000;
const EVERY: Duration = Duration::from_millis(500);
/// So that none waits for a part of a cluster that is away.
const AT_ONCE: usize = 64;
const EACH_WITHIN: Duration = Duration::from_secs(2);
const LAST_TRY: Duration = Duration::from_secs(1);

pub(super) struct Owed {
    connection: Arc<RedisConnection>,
    release: Script,
    /// By owner, which is another one for each claim.
    leases: Mutex<HashMap<String, Debt>>,
    /// After this time they have expired.
    ttl: Duration,
    /// One pass at a time.
    releasing: AsyncMutex<()>,
}

#[derive(Clone)]
struct Debt {
    lease: Lease,
    since: Instant,
    tries: u32,
}

impl Owed {
    pub(super) fn new(connection: Arc<RedisConnection>, ttl: Duration) -> Self {
        Self {
            connection,
            ttl,
            release: Script::new(scripts::RELEASE),
            leases: Mutex::default(),
            releasing: AsyncMutex::default(),
        }
    }

    pub(super) fn add(&self, lease: &Lease) {
        let mut leases = self.leases.lock();
        if leases.len() < AT_MOST {
            let debt = Debt {
                lease: lease.clone(),
                since: Instant::now(),
                tries: 0,
            };
            leases.insert(lease.owner.clone(), debt);
        }
    }

    /// Releases them as long as the handle lives, in a task of its own: it holds up no refresh of the presence.
    pub(super) fn keep_releasing(self: &Arc<Self>, presence: &Presence) -> AbortOnDropHandle<()> {
        let owed = Arc::clone(self);
        let presence = presence.clone();
        AbortOnDropHandle::new(tokio::spawn(async move {
            loop {
                tokio::time::sleep(EVERY).await;
                if presence.is_live() {
                    owed.release_all().await;
                }
            }
        }))
    }

    /// Before the process ends.
    pub(super) async fn release_at_last(&self) {
        let all = timeout(LAST_TRY, self.release_all()).await;
        let left = self.leases.lock().len();
        if all.is_err() || left > 0 {
            tracing::warn!(left, "leases are not released; they expire by themselves");
        }
    }

    /// Each of them once, those last that failed most often. What other owners have by now stays theirs.
    async fn release_all(&self) {
        let _one_at_a_time = self.releasing.lock().await;
        let mut owed: Vec<_> = self.leases.lock().values().cloned().collect();
        owed.sort_by_key(|debt| debt.tries);

        let releasing = owed.into_iter().map(|debt| async move {
            let lease = debt.lease;
            match timeout(EACH_WITHIN, self.release(&lease)).await {
                Ok(Ok(())) => {
                    self.leases.lock().remove(&lease.owner);
                    return;
                }
                Ok(Err(failure)) => tracing::debug!(%failure, "a lease is still to be released"),
                Err(_elapsed) => tracing::debug!("a lease is not released in time"),
            }
            let mut leases = self.leases.lock();
            if debt.since.elapsed() > self.ttl {
                leases.remove(&lease.owner);
            } else if let Some(debt) = leases.get_mut(&lease.owner) {
                debt.tries = debt.tries.saturating_add(1);
            }
        });
        stream::iter(releasing)
            .buffer_unordered(AT_ONCE)
            .collect::<()>()
            .await;
    }

    pub(super) async fn release(&self, lease: &Lease) -> Result<(), Failure> {
        let mut script = self.release.prepare_invoke();
        script
            .key(keys::checkpoint(lease.user_id))
            .key(keys::lease(lease.user_id))
            .arg(&lease.owner);
        self.connection
            .run::<u64>(&script)
            .await
            .map(|_was_ours| ())
    }
}
