use std::sync::Arc;

use jiff::Timestamp;
use tracing::Instrument as _;

use super::{Cancellation, Interrupt};
use crate::job::UserId;
use crate::machine::{ArchiveInProgress, Checkpoint, StateName};
use crate::ports::{Checkpoints, Lease, Saved};
use crate::progress;
use crate::telemetry::{metrics, span};

/// The checkpoint in hand, with the right to save it. Whatever is not saved is lost in a crash, and
/// what is refused was somebody else's to save.
pub(crate) struct CheckpointSession {
    checkpoints: Arc<dyn Checkpoints>,
    lease: Lease,
    version: u64,
    checkpoint: Checkpoint,
    trusted: bool,
    /// Where it was when it was loaded.
    loaded: StateName,
    /// What is recorded was read again in this visit.
    confirmed: bool,
    limits: Cancellation,
}

impl CheckpointSession {
    /// Takes over what a claim granted. `trusted`: the checkpoint was begun in this visit, or has a valid code.
    pub(crate) fn new(
        checkpoints: Arc<dyn Checkpoints>,
        lease: Lease,
        version: u64,
        checkpoint: Checkpoint,
        trusted: bool,
        limits: Cancellation,
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
            limits,
        }
    }

    pub(crate) const fn user_id(&self) -> UserId {
        self.checkpoint.user_id
    }

    pub(crate) const fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// Whether nobody but our own workers can have written it.
    pub(super) const fn is_trusted(&self) -> bool {
        self.trusted
    }

    /// Whether the archive was made before this visit.
    pub(super) fn was_loaded_as_archived(&self) -> bool {
        self.loaded >= StateName::Archived
    }

    /// Whether the intent to delete was saved by one of our own workers: loaded with a valid code.
    pub(super) fn has_our_intent(&self) -> bool {
        self.trusted && self.was_loaded_as_archived()
    }

    /// Whether the user was recorded as deleted before this visit.
    pub(super) fn was_loaded_as_deleted(&self) -> bool {
        self.loaded == StateName::Deleted
    }

    /// Whether [`Self::confirm`] was called.
    pub(super) const fn is_confirmed(&self) -> bool {
        self.confirmed
    }

    /// What is recorded was read again, and is so.
    pub(super) const fn confirm(&mut self) {
        self.confirmed = true;
    }

    /// Begins again without what was loaded.
    pub(crate) fn forget(&mut self, checkpoint: Checkpoint) {
        self.checkpoint = checkpoint;
        (self.trusted, self.loaded) = (true, StateName::Received);
    }

    /// To change before a [`Self::save`].
    pub(crate) const fn checkpoint_mut(&mut self) -> &mut Checkpoint {
        &mut self.checkpoint
    }

    /// Stores the checkpoint as it stands: one round trip.
    pub(crate) async fn save(&mut self) -> Result<(), Interrupt> {
        let span = span::checkpoint("save", self.user_id());
        let saving = self
            .checkpoints
            .save(&self.lease, self.version, &self.checkpoint);
        match saving.instrument(span).await {
            Ok(Saved::Version(version)) => {
                self.version = version;
                progress::made();
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
    ) -> Result<(), Interrupt> {
        self.checkpoint.step.archive = Some(progress);
        self.checkpoint.updated_at = Timestamp::now();
        self.save().await
    }

    /// `Err` once the visit has to end; asked before each step, and by steps at their own checkpoints.
    pub(crate) fn still_wanted(&self) -> Result<(), Interrupt> {
        self.limits.check()
    }
}
