//! How long checkpoints are kept.

use std::time::Duration;

use super::RedisCheckpoints;
use crate::failure::Failure;
use crate::job::BatchId;
use crate::machine::Checkpoint;

/// What is kept of a user whom CXone does not know, and of one whom nobody began with: as long as somebody may still
/// look for the dead letter.
pub(super) const NOBODY_KEPT: Duration = Duration::from_hours(24);

impl RedisCheckpoints {
    /// The same, which forgets finished users so long after their end.
    #[must_use]
    pub(crate) fn keeping(mut self, retention: Option<Duration>) -> Self {
        self.retention = retention;
        self
    }

    /// How long this checkpoint is kept; `None` for ever.
    pub(super) fn kept_for(&self, checkpoint: &Checkpoint) -> Option<Duration> {
        if checkpoint.is_unknown_user() {
            Some(NOBODY_KEPT)
        } else if checkpoint.state.is_finished() && checkpoint.dead_letter.is_none() {
            self.retention
        } else {
            None
        }
    }

    /// Notes in the batch what it needs to know once the checkpoint has expired. A batch is kept as long as a finished
    /// user, from when its last user ended.
    pub(super) async fn note_end(
        &self,
        batch: &BatchId,
        checkpoint: &Checkpoint,
        sum: &[u8],
    ) -> Result<(), Failure> {
        let kept = self.retention.unwrap_or(NOBODY_KEPT * 7);
        self.end_user_in_batch(batch, checkpoint.user_id, checkpoint.updated_at, sum, kept)
            .await
    }
}
