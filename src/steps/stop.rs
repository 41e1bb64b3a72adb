//! What operators ordered not to be done: read before each step that changes something, and as the last thing before
//! the DELETE.

use jiff::SignedDuration;

use super::first_received::as_first_received;
use super::guard::LISTED_WITHIN;
use super::{Interrupt, Services, Stopped};
use crate::job::{Job, Request};
use crate::machine::{Checkpoint, Event, Pause, Step};
use crate::registers::{BatchPause, Stop, StopOrders};

/// A user of a paused batch asks again when the pause has lasted half as long again, within these bounds: soon after a short
/// pause, and not often during a long one.
const PAUSED_AGAIN: [SignedDuration; 2] =
    [SignedDuration::from_secs(10), SignedDuration::from_mins(5)];

impl Services {
    /// What ends the run before this step, if an operator ordered it in time. A DELETE asks by itself, and what follows it
    /// only records what is done.
    pub(crate) async fn stop_before(
        &self,
        step: &Step,
        job: &Job,
        checkpoint: &Checkpoint,
    ) -> Result<Option<Event>, Stopped> {
        let asks = match step {
            Step::LookBack
            | Step::LookAgain
            | Step::ClearQueues
            | Step::Deactivate
            | Step::Archive
            | Step::Seal => true,
            Step::Delete { .. } | Step::ConfirmDeletion | Step::Record => false,
        };
        if !asks {
            return Ok(None);
        }

        let orders = self.stop_orders.recent(&*self.archive_store).await?;
        let event = self.event_of(&orders, job, checkpoint)?;
        // Nobody is touched before the queues are cleared.
        if event.is_none() && matches!(step, Step::ClearQueues) {
            return self.hold_back(job, checkpoint).await;
        }
        let only_noted = || {
            let request = as_first_received(job, checkpoint);
            let now = self.clock.now();
            orders.cancelled(job.user_id, &request, now).is_none()
        };
        Ok(event.filter(|event| match step {
            // Reads only, and what it finds says how far the user is. It would drop what only the checkpoint notes.
            Step::LookBack => !matches!(event, Event::Cancelled(_)) || only_noted(),
            // The user is finished.
            Step::LookAgain => matches!(event, Event::Cancelled(_)),
            Step::ClearQueues
            | Step::Deactivate
            | Step::Archive
            | Step::Seal
            | Step::Delete { .. }
            | Step::ConfirmDeletion
            | Step::Record => true,
        }))
    }

    /// What keeps the job from being taken further, as of a few seconds ago.
    pub(super) async fn stop_recent(
        &self,
        job: &Job,
        checkpoint: &Checkpoint,
    ) -> Result<Option<Event>, Stopped> {
        let orders = self.stop_orders.recent(&*self.archive_store).await?;
        self.event_of(&orders, job, checkpoint)
    }

    /// What keeps the DELETE from being sent, by a listing that begins now, or began a moment ago.
    pub(super) async fn stop_deletion(
        &self,
        job: &Job,
        checkpoint: &Checkpoint,
    ) -> Result<Option<Event>, Stopped> {
        let store = &*self.archive_store;
        let orders = self.stop_orders.listed_within(LISTED_WITHIN, store).await?;
        self.event_of(&orders, job, checkpoint)
    }

    /// Whether an earlier request was cancelled, and this job is another one that was asked for later.
    pub(super) async fn was_cancelled_before(
        &self,
        job: &Job,
        earlier: &Request,
    ) -> Result<bool, Stopped> {
        let now = self.clock.now();
        let orders = self.stop_orders.recent(&*self.archive_store).await?;
        let covering = |request| orders.cancelled(job.user_id, request, now).is_some();
        let is_another = earlier.message_sha256 != job.request.message_sha256;
        Ok(is_another && covering(earlier) && !covering(&job.request))
    }

    /// The checkpoint of a request that was cancelled, begun again for this job, which was asked for later; `None` if
    /// there is nothing to begin again.
    pub(crate) async fn ordered_again(
        &self,
        job: &Job,
        checkpoint: &Checkpoint,
    ) -> Result<Option<Checkpoint>, Stopped> {
        if checkpoint.state.is_finished() {
            return Ok(None);
        }

        let now = self.clock.now();
        let orders = self.stop_orders.recent(&*self.archive_store).await?;
        let covering = |request| orders.cancelled(job.user_id, request, now).is_some();
        let stays = checkpoint.is_of(&job.request)
            || checkpoint.still_cancelled(&job.request, now).is_some()
            || covering(&job.request);
        let is_later = !stays && (checkpoint.cancelled.is_some() || covering(&checkpoint.request));
        Ok(is_later.then(|| {
            let mut begun = checkpoint.clone();
            begun.order_again(job.request.clone(), now);
            begun
        }))
    }

    fn event_of(
        &self,
        orders: &StopOrders,
        job: &Job,
        checkpoint: &Checkpoint,
    ) -> Result<Option<Event>, Stopped> {
        if let Some(doubt) = orders.doubt() {
            tracing::warn!(
                doubt,
                "an order to stop is in doubt: nobody is taken further"
            );
            return Err(Stopped::Interrupted(Interrupt::Draining));
        }

        let now = self.clock.now();
        let request = as_first_received(job, checkpoint);
        let noted = checkpoint.still_cancelled(&request, now).cloned();
        let stop = noted
            .map(Stop::Cancelled)
            .or_else(|| orders.stop(job.user_id, &request, now));
        Ok(stop.map(|stop| match stop {
            Stop::Cancelled(cancelled) => Event::Cancelled(cancelled),
            Stop::Paused(BatchPause { at, until, .. }) => {
                let [shortest, longest] = PAUSED_AGAIN;
                let wait = (now.duration_since(at) / 2).clamp(shortest, longest);
                let again = now.checked_add(wait).unwrap_or(now);
                Event::StepPostponed {
                    until: until.map_or(again, |until| until.min(again)),
                    why: Pause::BatchPaused,
                }
            }
        }))
    }
}
