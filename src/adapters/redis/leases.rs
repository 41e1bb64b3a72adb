//! The leases of users.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use redis::Script;
use tokio_util::task::AbortOnDropHandle;

use super::claim_answer::ClaimAnswer;
use super::connection::{RedisConnection, millis};
use super::presence::{Holder, Presence};
use super::{keys, scripts};
use crate::failpoint::effect;
use crate::failure::Failure;
use crate::job::UserId;
use crate::ports::Lease;

/// Leases that are still to be released. More of them expire by themselves.
const OWED_AT_MOST: usize = 10_000;

pub(super) struct Leases {
    connection: Arc<RedisConnection>,
    ttl: Duration,
    presence: Presence,
    /// From the first claim on.
    keeping: Mutex<Option<AbortOnDropHandle<()>>>,
    /// What Redis did not take when it was away.
    owed: Arc<Owed>,
    claim: Script,
    renew: Script,
}

/// Releases leases, at last.
struct Owed {
    connection: Arc<RedisConnection>,
    release: Script,
    leases: Mutex<Vec<Lease>>,
}

pub(super) enum Claimed {
    Granted(Lease, ClaimAnswer),
    Held(Duration),
}

impl Leases {
    pub(super) fn new(connection: &Arc<RedisConnection>, ttl: Duration) -> Self {
        Self {
            presence: Presence::new(Arc::clone(connection)),
            keeping: Mutex::default(),
            owed: Arc::new(Owed {
                connection: Arc::clone(connection),
                release: Script::new(scripts::RELEASE),
                leases: Mutex::default(),
            }),
            connection: Arc::clone(connection),
            ttl,
            claim: Script::new(scripts::CLAIM),
            renew: Script::new(scripts::RENEW),
        }
    }

    pub(super) const fn ttl(&self) -> Duration {
        self.ttl
    }

    /// `kept` is how long a user is kept of whom nothing was saved. The user of a worker that died is taken over.
    pub(super) async fn claim(&self, user_id: UserId, kept: Duration) -> Result<Claimed, Failure> {
        let owner = self.presence.owner().await?;
        self.keep();

        let first = self.ask(user_id, &owner, "", kept).await?;
        if first.number(0) == 1 {
            return Ok(granted(user_id, owner, first));
        }
        let holder = String::from_utf8_lossy(first.bytes(2)).into_owned();
        let left = Duration::from_millis(first.number(1).max(1));
        match self.presence.of_holder(&holder).await? {
            Holder::Unknown => Ok(Claimed::Held(left)),
            Holder::Present(present) => Ok(Claimed::Held(left.min(present))),
            Holder::Gone => {
                let second = self.ask(user_id, &owner, &holder, kept).await?;
                if second.number(0) == 1 {
                    tracing::info!(%user_id, "taken over from a worker that is gone");
                    return Ok(granted(user_id, owner, second));
                }
                Ok(Claimed::Held(Duration::from_millis(
                    second.number(1).max(1),
                )))
            }
        }
    }

    async fn ask(
        &self,
        user_id: UserId,
        owner: &str,
        gone: &str,
        kept: Duration,
    ) -> Result<ClaimAnswer, Failure> {
        let mut script = self.claim.prepare_invoke();
        script
            .key(keys::checkpoint(user_id))
            .key(keys::lease(user_id))
            .key(self.connection.access_key(user_id).await?)
            .arg(owner)
            .arg(millis(self.ttl))
            .arg(millis(kept))
            .arg(user_id.to_string())
            .arg(gone);
        let answer = effect("the claim", self.connection.run(&script)).await?;
        Ok(ClaimAnswer(answer))
    }

    /// Leases are lost with the presence, so it is kept as long as this lives.
    fn keep(&self) {
        let mut keeping = self.keeping.lock();
        if keeping.as_ref().is_none_or(AbortOnDropHandle::is_finished) {
            let owed = Arc::clone(&self.owed);
            *keeping = Some(self.presence.keep(move || {
                let owed = Arc::clone(&owed);
                async move { owed.release_all().await }
            }));
        }
    }

    pub(super) async fn renew(&self, lease: &Lease) -> Result<bool, Failure> {
        let mut script = self.renew.prepare_invoke();
        script
            .key(keys::checkpoint(lease.user_id))
            .key(keys::lease(lease.user_id));
        script.arg(&lease.owner).arg(millis(self.ttl));
        Ok(self.connection.run::<u64>(&script).await? == 1)
    }

    /// Once Redis is there again, if it is away now: it then does not count as a death, and nobody waits.
    pub(super) async fn release(&self, lease: &Lease) -> Result<(), Failure> {
        let released = self.owed.release(lease).await;
        if released.is_err() {
            self.owed.add(lease);
        }
        released
    }

    /// The same where the presence lapsed, and so Redis may not answer: nobody waits for it.
    pub(super) fn give_up(&self, lease: &Lease) {
        self.owed.add(lease);
    }

    pub(super) async fn unsure(&self, lease: &Lease) {
        self.presence.unsure(&lease.owner).await;
    }
}

impl Owed {
    fn add(&self, lease: &Lease) {
        let mut leases = self.leases.lock();
        if leases.len() < OWED_AT_MOST {
            leases.push(lease.clone());
        }
    }

    /// What fails is kept, and what other owners have by now stays theirs.
    async fn release_all(&self) {
        let leases = std::mem::take(&mut *self.leases.lock());
        let mut leases = leases.into_iter();
        while let Some(lease) = leases.next() {
            if let Err(failure) = self.release(&lease).await {
                tracing::debug!(%failure, "leases are still to be released");
                self.leases.lock().extend([lease].into_iter().chain(leases));
                return;
            }
        }
    }

    async fn release(&self, lease: &Lease) -> Result<(), Failure> {
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

fn granted(user_id: UserId, owner: String, answer: ClaimAnswer) -> Claimed {
    let lease = Lease {
        user_id,
        owner,
        fence: answer.number(1),
    };
    Claimed::Granted(lease, answer)
}
