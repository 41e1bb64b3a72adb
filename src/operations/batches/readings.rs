//! Whole batches, read once for all who ask at the same time.

use std::sync::Arc;

use jiff::Timestamp;
use tokio::time::Instant;

use super::read::{Reading, read};
use crate::failure::Failure;
use crate::job::BatchId;
use crate::operations::shared_answers::{PATIENCE, SharedAnswers};
use crate::ports::batches::{Batches, Record};

/// Where batches are read.
pub(crate) struct BatchSource<'a> {
    pub store: &'a Arc<dyn Batches>,
    pub readings: &'a Readings,
    /// Batches that are not read by then are unknown.
    pub until: Option<Instant>,
}

impl BatchSource<'_> {
    /// `None`: it is still being read, to its end.
    pub(super) async fn read(
        &self,
        batch: &BatchId,
        now: Timestamp,
    ) -> Result<Option<Arc<Option<Reading>>>, Failure> {
        match self.until {
            None => self.readings.of(self.store, batch, now).await.map(Some),
            Some(until) => self.readings.by(until, self.store, batch, now).await,
        }
    }
}

/// What was read of batches, for two seconds, or for four times as long as it took, but not for longer than ten seconds. Who
/// would have to wait for a large batch gets what was read of it in the last 20 seconds.
#[derive(Default)]
pub(crate) struct Readings {
    batches: Arc<SharedAnswers<Option<Reading>, Failure>>,
    requesters: SharedAnswers<Option<String>, Failure>,
}

impl Readings {
    /// The batch, as it was at `as_of` of the reading. `None` if it does not exist.
    pub(crate) async fn of(
        &self,
        batches: &Arc<dyn Batches>,
        batch: &BatchId,
        now: Timestamp,
    ) -> Result<Arc<Option<Reading>>, Failure> {
        let soon = Instant::now() + PATIENCE;
        if let Some(reading) = self.by(soon, batches, batch, now).await? {
            return Ok(reading);
        }
        let reading = |_last| read(&**batches, batch, now);
        self.batches.get(&batch.to_string(), reading).await
    }

    /// The batch, or at `until` what was read of it in the last 20 seconds. `None`: it is still being read.
    async fn by(
        &self,
        until: Instant,
        batches: &Arc<dyn Batches>,
        batch: &BatchId,
        now: Timestamp,
    ) -> Result<Option<Arc<Option<Reading>>>, Failure> {
        let name = batch.to_string();
        let batches = Arc::clone(batches);
        let batch = batch.clone();
        let reading = move |_last| async move { read(&*batches, &batch, now).await };
        self.batches.get_by(&name, until, reading).await.transpose()
    }

    /// Who asked for the first user of the batch; also of one that is too large to be read.
    pub(super) async fn requested_by(
        &self,
        batches: &dyn Batches,
        batch: &BatchId,
    ) -> Result<Option<String>, Failure> {
        let reading = |_last| async {
            let first = batches.page(batch, 0, 1).await?.users;
            let records = batches.records(batch, &first).await?;
            Ok(records.into_iter().find_map(|record| match record {
                Record::Checkpoint(checkpoint) => checkpoint.request.requested_by,
                Record::Nothing | Record::Summary(_) | Record::Unreadable => None,
            }))
        };
        let requester = self.requesters.get(&batch.to_string(), reading).await?;
        Ok(Option::clone(&requester))
    }

    /// Something was changed by this process: nothing that was read before counts.
    pub(crate) fn changed(&self) {
        self.batches.changed();
        self.requesters.changed();
    }
}
