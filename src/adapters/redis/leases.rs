//! The leases of users.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use redis::Script;
use tokio_util::task::AbortOnDropHandle;

use super::claim_answer::ClaimAnswer;
use super::connection::{RedisConnection, millis};
use super::holders::{Holder, Holders};
use super::nodes::Limits;
use super::owed::Owed;
use super::presence::{IfIt, KEPT, Presence, PresenceKeys};
use super::{keys, scripts};
use crate::clock::Clock;
use crate::failpoint::effect;
use crate::failure::Failure;
use crate::job::UserId;
use crate::ports::Lease;

pub(super) struct Leases {
    connection: Arc<RedisConnection>,
    ttl: Duration,
    /// The name of this process, where it is a worker.
    worker: String,
    presence: Presence,
    holders: Holders,
    /// What Redis did not take when it was away.
    owed: Arc<Owed>,
    /// From the first claim on.
    keeping: Mutex<Option<Keeping>>,
    claim: Script,
    renew: Script,
}

/// Tasks that last as long as this.
struct Keeping {
    presence: AbortOnDropHandle<()>,
    releasing: AbortOnDropHandle<()>,
}

/// The keys of presences, over a connection of their own: no other command holds a refresh up.
struct OwnConnection {
    own: RedisConnection,
    /// What everything else is sent over.
    shared: Arc<RedisConnection>,
    has_begun: AtomicBool,
}

#[async_trait]
impl PresenceKeys for OwnConnection {
    async fn set(&self, name: &str, if_it: IfIt, within: Duration) -> Result<bool, Failure> {
        let mut command = redis::cmd("SET");
        command
            .arg(keys::presence(name))
            .arg("1")
            .arg("PX")
            .arg(millis(KEPT))
            .arg(match if_it {
                IfIt::IsThere => "XX",
                IfIt::IsNew => "NX",
            });
        let set: Option<String> = self.own.ask_within(&command, within).await?;
        // Not for the first presence of the process.
        if if_it == IfIt::IsNew && self.has_begun.swap(true, Ordering::Relaxed) {
            self.shared.renew();
        }
        Ok(set.is_some())
    }
}

pub(super) enum Claimed {
    Granted(Lease, ClaimAnswer),
    Held {
        for_at_most: Duration,
        look_again: Option<Duration>,
    },
}

impl Leases {
    pub(super) fn new(connection: &Arc<RedisConnection>, ttl: Duration) -> Self {
        let own = OwnConnection {
            own: connection.another(Limits::PRESENCE),
            shared: Arc::clone(connection),
            has_begun: AtomicBool::default(),
        };
        Self {
            presence: Presence::new(Box::new(own), Clock::system()),
            keeping: Mutex::default(),
            holders: Holders::new(Arc::clone(connection)),
            owed: Arc::new(Owed::new(Arc::clone(connection), ttl)),
            connection: Arc::clone(connection),
            ttl,
            worker: String::new(),
            claim: Script::new(scripts::CLAIM),
            renew: Script::new(scripts::RENEW),
        }
    }

    pub(super) fn of_worker(mut self, name: &str) -> Self {
        name.clone_into(&mut self.worker);
        self
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
        match self.holders.look(&holder).await? {
            Holder::Unknown => Ok(held(left, None)),
            Holder::Present(present) => Ok(held(left, Some(present))),
            Holder::Gone => {
                let second = self.ask(user_id, &owner, &holder, kept).await?;
                if second.number(0) == 1 {
                    tracing::info!(%user_id, "taken over from a worker that is gone");
                    return Ok(granted(user_id, owner, second));
                }
                let left = Duration::from_millis(second.number(1).max(1));
                Ok(held(left, None))
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
            .arg(gone)
            .arg(&self.worker);
        let answer = effect("the claim", self.connection.run(&script)).await;
        if answer.is_err() {
            // It may be granted all the same, and nobody may take the user over from a process that lives.
            self.owed.add(&Lease {
                user_id,
                owner: owner.to_owned(),
                fence: 0,
            });
        }
        answer.map(ClaimAnswer)
    }

    /// Leases are lost with the presence, so it is kept as long as this lives.
    fn keep(&self) {
        let mut keeping = self.keeping.lock();
        let ended =
            |keeping: &Keeping| keeping.presence.is_finished() || keeping.releasing.is_finished();
        if keeping.as_ref().is_none_or(ended) {
            *keeping = Some(Keeping {
                presence: self.presence.keep(),
                releasing: self.owed.keep_releasing(&self.presence),
            });
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
    pub(super) fn release_later(&self, lease: &Lease) {
        self.owed.add(lease);
    }

    pub(super) async fn unsure(&self, lease: &Lease) -> Option<Failure> {
        self.presence.unsure(&lease.owner).await
    }

    pub(super) async fn close(&self) {
        self.keeping.lock().take();
        self.owed.release_at_last().await;
    }
}

const fn held(for_at_most: Duration, look_again: Option<Duration>) -> Claimed {
    Claimed::Held {
        for_at_most,
        look_again,
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
