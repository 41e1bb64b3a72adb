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

    /// Counts this user if the limit allows one more. A count that is lost begins with what the archive store shows. One run of a worker
    /// restores it at a time: a later one would find the record of a user who is counted already, and count that user twice.
    /// Where several workers do so at once, the limit is reached earlier, never later.
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

        let _restoring = recorded.restoring.lock().await;
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::time::Duration;

    use super::*;
    use crate::limits::RateLimit;
    use crate::steps::test_services::{Answer, TestCheckpoints, services};

    #[tokio::test]
    async fn runs_that_find_the_count_lost_at_once_restore_it_once() {
        let directory = tempfile::tempdir().unwrap();
        let checkpoints = Arc::new(TestCheckpoints {
            restored: Some(AtomicU32::new(0)),
            ..TestCheckpoints::default()
        });
        let services = services(directory.path(), checkpoints.clone(), Answer::Panic);
        let per = Duration::from_hours(1);
        let recorded = RecordedAhead::new("_requests_", RateLimit { count: 10, per });
        let admit = async |user: &str| {
            let user_id: UserId = user.parse().unwrap();
            let admitting = services.admit_restored(CountOf::Requests, &recorded, user_id);
            admitting.await.unwrap()
        };
        let both = tokio::join!(
            admit("3f1f0d4e-9a51-4b4b-8f6c-1f9a4f9b7c11"),
            admit("3f1f0d4e-9a51-4b4b-8f6c-1f9a4f9b7c12"),
        );
        assert_eq!(both, (Admission::Counted, Admission::Counted));
        let restored = checkpoints.restored.as_ref();
        assert_eq!(restored.map(|times| times.load(Ordering::Relaxed)), Some(1));
    }
}
