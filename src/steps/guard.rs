//! The guards, asked with fresh data: whom nothing may touch, who must not be deleted, and who not yet.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::recount::recount;
use super::{Interrupt, Services, Stopped};
use crate::failure::{Class, Code, Failure, Reason};
use crate::guards::{Hold, Verdict};
use crate::job::{Request, UserId};
use crate::machine::Pause;
use crate::ports::{Admission, CountOf};
use crate::registers::{hold_of_noted, pause_state};
use crate::telemetry::metrics;

/// How old a listing may be that the checks before a DELETE rely on, where it is the same for all users: those of a pause, and of orders to
/// stop. A check is as old as that when it begins.
pub(super) const LISTED_WITHIN: Duration = Duration::from_millis(250);

/// When a deletion asks again if the deletion rate limit has no count.
const UNTIL_COUNTED: Duration = Duration::from_secs(20);

/// A deletion asks again whether access comes first when its user has waited half as long again, within these bounds: soon
/// after a small batch, and not often during a large one.
const ACCESS_FIRST_AGAIN: [SignedDuration; 2] =
    [SignedDuration::from_secs(30), SignedDuration::from_mins(10)];
/// A stream of new users that never ends postpones no deletion for longer than this after the user's own access is gone.
const ACCESS_FIRST_FOR: SignedDuration = SignedDuration::from_hours(6);

impl Services {
    /// Why the protected list covers this user, if it does.
    pub(crate) async fn protection(&self, user_id: UserId) -> Result<Option<String>, Failure> {
        let list = self.protected.load().await?;
        if self.tenant.own_account().await? == Some(user_id) {
            return Ok(Some(
                "it owns the credentials that offboarder calls the API with".to_owned(),
            ));
        }
        let name = if list.has_patterns() {
            match self.tenant.account(user_id).await?.account {
                Some(account) => account.user_name,
                // There is no user to touch.
                None => return Ok(None),
            }
        } else {
            None
        };
        Ok(list.protects(user_id, name.as_deref()))
    }
}

/// Fails when the protected list covers the user, or cannot be read. Asked before the first write to a user, and before
/// every deletion.
pub(super) async fn may_touch(services: &Services, user_id: UserId) -> Result<(), Stopped> {
    match services.protection(user_id).await? {
        None => Ok(()),
        Some(why) => {
            let class = Class::Permanent(Reason::ProtectedUser);
            Err(Failure::new(class, Code::ProtectedUser, why).into())
        }
    }
}

/// Fails while operators pause the workers: the run ends as at a drain. Asked with the guards before the DELETE.
pub(super) async fn not_paused(services: &Services) -> Result<(), Stopped> {
    let reading = pause_state(&*services.archive_store);
    let paused = services.pause.read(LISTED_WITHIN, reading).await?;
    match paused.cause(services.clock.now()) {
        None => Ok(()),
        Some(cause) => {
            tracing::info!(cause, "no deletion is sent");
            Err(Stopped::Interrupted(Interrupt::Draining))
        }
    }
}

/// Postpones the deletion while users who still have access need the quota that it would use.
pub(super) fn access_first(services: &Services, deactivated_at: Timestamp) -> Verdict {
    if !services.access_first || !services.tenant.access_waits() {
        return Verdict::Proceed;
    }
    let now = services.clock.now();
    let waited = now.duration_since(deactivated_at);
    if waited > ACCESS_FIRST_FOR {
        return Verdict::Proceed;
    }

    let why = Pause::AccessFirst;
    metrics::deletion_postponed(why);
    let [shortest, longest] = ACCESS_FIRST_AGAIN;
    let until = now + (waited / 2).clamp(shortest, longest);
    Verdict::Postpone { until, why }
}

/// Every guard but the deletion rate limit and the pause, immediately before the DELETE. `noted`: how many hold records
/// Redis counted, where its last answer said so.
pub(crate) async fn on_deletion(
    services: &Services,
    user_id: UserId,
    request: &Request,
    deactivated_at: Timestamp,
    noted: Option<u32>,
) -> Result<Verdict, Stopped> {
    // This may wait for the quota of SCIM; the hold is read after it, so that it is fresh.
    may_touch(services, user_id).await?;
    let noted = match noted {
        Some(noted) => noted,
        None => services.checkpoints.noted_holds(user_id).await?,
    };
    let hold = hold_of_noted(&*services.archive_store, user_id, noted).await?;
    Ok(verdict(services, request, deactivated_at, hold))
}

/// The same before the seal, where nothing is irrevocable yet: holds are read only before the DELETE.
pub(super) async fn on_sealing(
    services: &Services,
    user_id: UserId,
    request: &Request,
    deactivated_at: Timestamp,
) -> Result<Verdict, Stopped> {
    may_touch(services, user_id).await?;
    Ok(verdict(services, request, deactivated_at, None))
}

fn verdict(
    services: &Services,
    request: &Request,
    deactivated_at: Timestamp,
    hold: Option<Hold>,
) -> Verdict {
    let verdict = services
        .guards
        .on_deletion(request, deactivated_at, hold, services.clock.now());
    if let Verdict::Postpone { why, .. } = &verdict {
        metrics::deletion_postponed(*why);
    }
    verdict
}

/// Counts this deletion under the deletion rate limit, or says when to ask again. While the count is unknown, no user is
/// deleted.
pub(super) async fn admit_deletion(
    services: &Services,
    user_id: UserId,
) -> Result<Verdict, Stopped> {
    let Some(limit) = services.guards.deletion_rate_limit else {
        return Ok(Verdict::Proceed);
    };
    let checkpoints = &services.checkpoints;
    let of = CountOf::Deletions;
    let mut answer = checkpoints.admit(of, user_id, limit).await?;

    if answer == Admission::Unknown {
        match recount(services, limit).await {
            Ok(true) => {
                answer = checkpoints.admit(of, user_id, limit).await?;
            }
            Ok(false) => {}
            Err(failure) => {
                tracing::warn!(%user_id, %failure, "the deletion rate limit has no count yet: the deletion waits");
            }
        }
    }
    Ok(match answer {
        Admission::Counted => Verdict::Proceed,
        Admission::Wait(wait) => postponed(services, user_id, wait),
        Admission::Unknown => postponed(services, user_id, UNTIL_COUNTED),
    })
}

fn postponed(services: &Services, user_id: UserId, wait: Duration) -> Verdict {
    metrics::deletion_postponed(Pause::DeletionRateLimit);
    metrics::deletion_rate_limited(user_id, wait);
    let wait = SignedDuration::try_from(wait).unwrap_or(SignedDuration::from_mins(1));
    Verdict::Postpone {
        until: services.clock.now() + wait,
        why: Pause::DeletionRateLimit,
    }
}
