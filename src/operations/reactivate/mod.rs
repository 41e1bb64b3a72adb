//! Reactivating users whose deletion has not happened: the off-boarding is cancelled, it is decided once that the user is
//! not deleted, and what the before-image names is given back.
//!
//! Each part may be repeated: a reactivation that was interrupted is finished by doing it again.

mod claimed;
mod known;
mod look;
mod report;

use std::time::Duration;

use futures_util::stream::{self, StreamExt as _};
use tokio::time::Instant;

use super::Partial;
use super::cancel::{CancelReport, CancelTarget, Cancelling};
use crate::failure::{Class, Failure};
use crate::job::UserId;
use crate::machine::Checkpoint;
use crate::ports::batches::Batches;
use crate::ports::users::UserIndex;
use crate::ports::{Claim, Lease};
use crate::registers::audit_log::Operator;
use crate::steps::Services;
use claimed::Claimed;
use look::{Look, look};
pub(crate) use report::{Outcome, ReactivateReport, Refusal, UserReactivated};

/// How many users are given back what they had at once. The quota is shared with the workers.
const AT_ONCE: usize = 4;
/// How long a worker that has the user is waited for.
const CLAIM_WITHIN: Duration = Duration::from_mins(1);
const CLAIM_AGAIN: Duration = Duration::from_millis(250);

/// The lease, the version of the checkpoint, and the checkpoint.
type Granted = (Lease, u64, Option<Box<Checkpoint>>);

pub(crate) struct Reactivating<'a> {
    pub services: &'a Services,
    pub users: &'a dyn UserIndex,
    /// Only a store that processes share keeps batches.
    pub batches: Option<&'a dyn Batches>,
}

impl Reactivating<'_> {
    /// Looks whom it can reactivate, cancels the requests of those, and gives them back what they had. Nothing is changed
    /// for the others.
    pub(crate) async fn reactivate(
        &self,
        users: &[UserId],
        operator: &Operator,
    ) -> Partial<ReactivateReport> {
        let mut report = ReactivateReport::default();
        let mut possible = Vec::new();
        for user_id in users {
            match look(self.services, *user_id).await {
                Ok(Look::Possible(revision)) => possible.push((*user_id, revision)),
                Ok(Look::Ended(user)) => report.add(*user),
                Err(failure) if failure.class == Class::Systemic => {
                    return report.cut_short(failure);
                }
                Err(failure) => report.add(UserReactivated::unreadable(*user_id, &failure)),
            }
        }
        if possible.is_empty() {
            return report.whole();
        }

        let cancelled = self.cancel(&possible, operator).await;
        if let Some(failure) = cancelled.failure {
            return report.cut_short(failure);
        }
        // A deletion that may be under way is no obstacle here: who decided first, the decision shows.
        for user_id in &cancelled.done.asked_otherwise {
            possible.retain(|(possible, _)| possible != user_id);
            report.add(UserReactivated::asked_again(*user_id));
        }

        let all = possible
            .into_iter()
            .map(|(user_id, revision)| self.give_back(user_id, revision, operator));
        let mut all = stream::iter(all).buffer_unordered(AT_ONCE);
        let mut failed = None;
        while let Some(given) = all.next().await {
            match given {
                Ok(user) => report.add(user),
                // The others are finished first: nobody is left half done without need.
                Err(failure) => failed = Some(failure),
            }
        }
        match failed {
            Some(failure) => report.cut_short(failure),
            None => report.whole(),
        }
    }

    async fn cancel(
        &self,
        possible: &[(UserId, u32)],
        operator: &Operator,
    ) -> Partial<CancelReport> {
        let cancelling = Cancelling {
            what: "reactivate",
            store: &self.services.archive_store,
            checkpoints: &*self.services.checkpoints,
            users: self.users,
            batches: self.batches,
            clock: &self.services.clock,
        };
        let users = possible.iter().map(|(user_id, _)| *user_id).collect();
        cancelling
            .cancel(&CancelTarget::Users(users), operator)
            .await
    }

    /// Under the lease of the user, so that no worker works on it. A failure is one that all users would meet.
    async fn give_back(
        &self,
        user_id: UserId,
        revision: u32,
        operator: &Operator,
    ) -> Result<UserReactivated, Failure> {
        crate::failpoint::arm(&user_id.to_string());
        let checkpoints = &self.services.checkpoints;
        let Some((lease, version, checkpoint)) = self.claim(user_id).await? else {
            return Ok(UserReactivated::busy(user_id));
        };

        let claimed = Claimed {
            services: self.services,
            operator,
            user_id,
            revision,
            lease: &lease,
        };
        let given = self
            .while_leased(&lease, claimed.give_back(version, checkpoint))
            .await;
        checkpoints.release(&lease).await?;
        match given {
            None => Ok(UserReactivated::busy(user_id)),
            Some(Ok(user)) => Ok(user),
            Some(Err(failure)) if failure.class == Class::Systemic => Err(failure),
            Some(Err(failure)) => Ok(UserReactivated::unreadable(user_id, &failure)),
        }
    }

    async fn claim(&self, user_id: UserId) -> Result<Option<Granted>, Failure> {
        let begun = Instant::now();
        loop {
            if let Claim::Granted {
                lease,
                version,
                checkpoint,
                ..
            } = self.services.checkpoints.claim(user_id).await?
            {
                return Ok(Some((lease, version, checkpoint)));
            }
            if begun.elapsed() >= CLAIM_WITHIN {
                return Ok(None);
            }
            tokio::time::sleep(CLAIM_AGAIN).await;
        }
    }

    /// Renews the lease as long as the work lasts. `None`: another process may have the user.
    async fn while_leased<T>(&self, lease: &Lease, work: impl Future<Output = T>) -> Option<T> {
        let checkpoints = &self.services.checkpoints;
        let renewing = async {
            loop {
                tokio::time::sleep(checkpoints.lease_ttl() / 3).await;
                match checkpoints.renew(lease).await {
                    Ok(true) => {}
                    Ok(false) => break,
                    Err(failure) => tracing::warn!(%failure, "the lease was not renewed"),
                }
            }
        };
        tokio::select! {
            biased;
            _cause = checkpoints.unsure(lease) => None,
            () = renewing => None,
            done = work => Some(done),
        }
    }
}
