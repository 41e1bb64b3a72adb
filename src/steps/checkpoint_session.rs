//! The checkpoint of the user that a run works on.

use std::sync::Arc;

use jiff::Timestamp;
use tokio_util::task::AbortOnDropHandle;
use tracing::Instrument as _;

use super::{Cancellation, Interrupt};
use crate::failure::Failure;
use crate::job::UserId;
use crate::machine::{ArchiveInProgress, Checkpoint, StateName};
use crate::ports::{Checkpoints, Lease, Saved};
use crate::progress::Progress;
use crate::telemetry::{metrics, span};

/// The checkpoint, with the lease that allows to save it. What is not saved is lost in a crash; a save is refused once
/// another worker has the lease.
pub(crate) struct CheckpointSession {
    checkpoints: Arc<dyn Checkpoints>,
    lease: Lease,
    version: u64,
    checkpoint: Checkpoint,
    trusted: bool,
    /// The state that it was loaded in.
    loaded: StateName,
    /// This run has read again what is recorded.
    confirmed: bool,
    cancellation: Cancellation,
    progress: Progress,
    /// Renews the lease while the run lasts.
    renewing: Option<AbortOnDropHandle<()>>,
    saved: SavedSoFar,
    /// How many hold objects were recorded when the intent to delete was saved, if this run saved it last.
    noted_holds: Option<u32>,
}

/// What is saved of what was planned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SavedSoFar {
    All,
    /// The last plan is left to the next save.
    AllButTheLast,
    /// And the lease is given up.
    Released,
}

impl CheckpointSession {
    /// Begins with what a claim granted. `trusted`: this run began the checkpoint, or its authentication code is valid.
    pub(crate) fn new(
        checkpoints: Arc<dyn Checkpoints>,
        lease: Lease,
        version: u64,
        checkpoint: Checkpoint,
        trusted: bool,
        cancellation: Cancellation,
        progress: Progress,
    ) -> Self {
        let loaded = checkpoint.state.name();
        Self {
            checkpoints,
            lease,
            version,
            checkpoint,
            trusted,
            loaded,
            confirmed: false,
            cancellation,
            progress,
            renewing: None,
            saved: SavedSoFar::All,
            noted_holds: None,
        }
    }

    /// Renews the lease by this task, until the lease is given up or the session ends.
    pub(crate) fn renew_by(&mut self, renewing: AbortOnDropHandle<()>) {
        self.renewing = Some(renewing);
    }

    /// Whether [`Self::save_and_release`] gave the lease up.
    pub(crate) fn is_released(&self) -> bool {
        self.saved == SavedSoFar::Released
    }

    /// What a task of its own does, as long as the lease is surely this run's: after a pause of the process such a
    /// task may come before the run.
    pub(super) fn under_lease<F: Future>(
        &self,
        work: F,
    ) -> impl Future<Output = F::Output> + use<F> {
        let checkpoints = Arc::clone(&self.checkpoints);
        let lease = self.lease.clone();
        async move {
            tokio::select! {
                biased;
                // The run ends by the same, and the task with it.
                _cause = checkpoints.unsure(&lease) => std::future::pending().await,
                done = work => done,
            }
        }
    }

    pub(crate) const fn user_id(&self) -> UserId {
        self.checkpoint.user_id
    }

    pub(crate) const fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// Whether only our own workers can have written it.
    pub(super) const fn is_trusted(&self) -> bool {
        self.trusted
    }

    /// Whether this run did not see that the access is gone, and somebody else may have written it.
    pub(crate) fn access_is_hearsay(&self) -> bool {
        !self.trusted && self.loaded >= StateName::Deactivated
    }

    /// Whether the archive was stored before this run.
    pub(super) fn was_loaded_as_archived(&self) -> bool {
        self.loaded >= StateName::Archived
    }

    /// Whether one of our own workers saved the intent to delete: it was loaded with a valid code.
    pub(super) fn has_our_intent(&self) -> bool {
        self.trusted && self.was_loaded_as_archived()
    }

    /// Whether the user was recorded as deleted before this run.
    pub(super) fn was_loaded_as_deleted(&self) -> bool {
        self.loaded == StateName::Deleted
    }

    /// Whether [`Self::confirm`] was called.
    pub(super) const fn is_confirmed(&self) -> bool {
        self.confirmed
    }

    /// What is recorded was read again, and is true.
    pub(super) const fn confirm(&mut self) {
        self.confirmed = true;
    }

    /// Drops what was loaded, and begins again.
    pub(crate) fn forget(&mut self, checkpoint: Checkpoint) {
        let workers = std::mem::take(&mut self.checkpoint.workers);
        self.checkpoint = Checkpoint {
            workers,
            ..checkpoint
        };
        self.trusted = true;
        self.loaded = StateName::Received;
    }

    /// Changes count only after a [`Self::save`].
    pub(crate) const fn checkpoint_mut(&mut self) -> &mut Checkpoint {
        &mut self.checkpoint
    }

    /// For the plan of what follows; it counts only after a [`Self::save`].
    pub(crate) const fn plan_on(&mut self) -> &mut Checkpoint {
        self.saved = SavedSoFar::All;
        &mut self.checkpoint
    }

    /// Leaves what was planned to the next save.
    pub(crate) const fn save_with_the_next(&mut self) {
        self.saved = SavedSoFar::AllButTheLast;
    }

    /// Saves what was left to the next save, as the run is interrupted before it, and gives the lease up. If that fails,
    /// the next run reads it again.
    pub(crate) async fn save_what_waits(&mut self) {
        if self.saved == SavedSoFar::AllButTheLast
            && let Err(interrupt) = self.save_and_release().await
        {
            tracing::debug!(user_id = %self.user_id(), %interrupt, "the end of the last step is not saved");
        }
    }

    /// Stores the checkpoint: one round trip.
    pub(crate) async fn save(&mut self) -> Result<(), Interrupt> {
        let saving = self
            .checkpoints
            .save(&self.lease, self.version, &self.checkpoint);
        let span = span::checkpoint("save", self.user_id());
        let saved = saving.instrument(span).await;
        self.take_in(saved)
    }

    /// The same for the save before the DELETE, which reads how many hold objects were recorded.
    pub(crate) async fn save_intent(&mut self) -> Result<(), Interrupt> {
        let saving = self
            .checkpoints
            .save_intent(&self.lease, self.version, &self.checkpoint);
        let span = span::checkpoint("save_intent", self.user_id());
        let (saved, noted) = match saving.instrument(span).await {
            Ok((saved, noted)) => (Ok(saved), Some(noted)),
            Err(failure) => (Err(failure), None),
        };
        self.take_in(saved)?;
        self.noted_holds = noted;
        Ok(())
    }

    /// How many hold objects were recorded when the last save was made, if that was of the intent to delete.
    pub(super) const fn noted_holds(&self) -> Option<u32> {
        self.noted_holds
    }

    /// The same for the last save of a run, with which the lease is given up.
    pub(crate) async fn save_and_release(&mut self) -> Result<(), Interrupt> {
        // A renewal that comes after it would find the lease lost.
        drop(self.renewing.take());
        let saving = self
            .checkpoints
            .save_and_release(&self.lease, self.version, &self.checkpoint);
        let span = span::checkpoint("save_and_release", self.user_id());
        let saved = saving.instrument(span).await;
        if matches!(saved, Ok(Saved::Version(_))) {
            self.saved = SavedSoFar::Released;
        }
        self.take_in(saved)
    }

    fn take_in(&mut self, saved: Result<Saved, Failure>) -> Result<(), Interrupt> {
        self.noted_holds = None;
        match saved {
            Ok(Saved::Version(version)) => {
                self.version = version;
                self.progress.made();
                Ok(())
            }
            Ok(Saved::Refused) => {
                metrics::checkpoint_conflict();
                Err(Interrupt::LeaseLost)
            }
            Err(failure) => Err(Interrupt::Systemic(failure)),
        }
    }

    /// Stores how far the archive got.
    pub(super) async fn save_archive(
        &mut self,
        progress: ArchiveInProgress,
        now: Timestamp,
    ) -> Result<(), Interrupt> {
        self.checkpoint.step.archive = Some(progress);
        self.checkpoint.updated_at = now;
        self.save().await
    }

    /// Fails once the run has to end; asked before each step, and by steps at their own checkpoints.
    pub(crate) fn still_wanted(&self) -> Result<(), Interrupt> {
        self.cancellation.check()
    }
}
