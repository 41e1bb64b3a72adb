//! Whole batches, read once for all who ask at the same time.

use std::sync::Arc;

use jiff::Timestamp;

use super::read::{Reading, read};
use crate::failure::Failure;
use crate::job::BatchId;
use crate::operations::shared_answers::SharedAnswers;
use crate::ports::batches::Batches;

/// What was read of batches, for two seconds, or for four times as long as it took, but not for longer than ten seconds.
#[derive(Default)]
pub(crate) struct Readings(SharedAnswers<Option<Reading>, Failure>);

impl Readings {
    /// The batch, as it was at `as_of` of the reading. `None` if it does not exist.
    pub(crate) async fn of(
        &self,
        batches: &dyn Batches,
        batch: &BatchId,
        now: Timestamp,
    ) -> Result<Arc<Option<Reading>>, Failure> {
        let reading = |_last| read(batches, batch, now);
        self.0.get(&batch.to_string(), reading).await
    }

    /// Something was changed by this process: nothing that was read before counts.
    pub(crate) fn changed(&self) {
        self.0.changed();
    }
}
