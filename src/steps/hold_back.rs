//! Holds users back whom messages name without an order of `submit`.

use jiff::SignedDuration;

use super::first_received::as_first_received;
use super::recorded_ahead::RecordedAhead;
use super::{Services, Stopped};
use crate::failure::Failure;
use crate::job::{Job, UserId};
use crate::machine::{Checkpoint, Event, Pause};
use crate::ports::{Admission, CountOf};
use crate::telemetry::metrics;

/// A user asks again after half the time that it has waited so far, within these bounds: soon after a person lets the
/// users on, and not often while thousands wait.
const AGAIN: [SignedDuration; 2] = [SignedDuration::from_secs(10), SignedDuration::from_mins(5)];

impl Services {
    /// What keeps a user from being touched, where no order names it and too many such users came.
    pub(super) async fn hold_back(
        &self,
        job: &Job,
        checkpoint: &Checkpoint,
    ) -> Result<Option<Event>, Stopped> {
        let Some(requests) = &self.requests else {
            return Ok(None);
        };
        if job.admitted || job.request.order.is_some() {
            return Ok(None);
        }

        let user_id = job.user_id;
        let store = &*self.archive_store;
        let now = self.clock.now();
        let wait = match self
            .admit_restored(CountOf::Requests, &requests.recorded, user_id)
            .await?
        {
            Admission::Counted => {
                let worker = &self.actor.worker;
                requests.recorded.record(store, worker, now).await?;
                metrics::request_admitted(user_id);
                return Ok(None);
            }
            Admission::Wait(wait) => SignedDuration::try_from(wait).unwrap_or(SignedDuration::MAX),
            // Another process restores the count.
            Admission::Unknown => AGAIN[0],
        };
        let received = as_first_received(job, checkpoint)
            .received_at
            .unwrap_or(now);
        let let_on = requests.let_on(store).await?;
        if let_on.is_some_and(|until| received <= until) {
            metrics::request_admitted(user_id);
            return Ok(None);
        }

        let [shortest, longest] = AGAIN;
        let again = (now.duration_since(received) / 2).clamp(shortest, longest);
        let wait = again.min(wait);
        metrics::request_waits(user_id, wait.unsigned_abs());
        Ok(Some(Event::StepPostponed {
            until: now.checked_add(wait).unwrap_or(now),
            why: Pause::RequestLimit,
        }))
    }

    /// Counts this user if the limit allows one more. A count that is lost begins with what the archive store shows.
    pub(super) async fn admit_restored(
        &self,
        of: CountOf,
        recorded: &RecordedAhead,
        user_id: UserId,
    ) -> Result<Admission, Failure> {
        let limit = recorded.limit;
        let checkpoints = &self.checkpoints;
        let answer = checkpoints.admit(of, user_id, limit).await?;
        if answer != Admission::Unknown {
            return Ok(answer);
        }

        let now = self.clock.now();
        let seen = recorded.seen(&*self.archive_store, now).await?;
        tracing::warn!(
            ?of,
            users = seen.len(),
            "the count of a limit is lost or new: it begins with what the archive store shows"
        );
        checkpoints.restore_count(of, limit.per, &seen).await?;
        checkpoints.admit(of, user_id, limit).await
    }
}
