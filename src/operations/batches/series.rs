use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::read::PAGE;
use super::{Known, Summary};
use crate::failure::Failure;
use crate::job::BatchId;
use crate::operations::series::Minutes;
use crate::ports::batches::Batches;

/// What happened to the users of a batch, minute by minute
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct BatchSeries {
    pub batch_id: BatchId,
    /// When it was read. The last minute is not over.
    #[schema(value_type = String, format = DateTime)]
    pub as_of: Timestamp,
    /// Users whose checkpoints this release cannot read: they are in no minute.
    pub unreadable: u64,
    /// Oldest first.
    pub minutes: Vec<MinuteOfBatch>,
}

/// What happened in a minute
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct MinuteOfBatch {
    /// When the minute began.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// Users who were finished.
    pub finished: u64,
    /// Users whose access was removed.
    pub access_removed: u64,
}

/// Reads all users of a batch. `None` if the batch does not exist.
pub(crate) async fn series(
    batches: &dyn Batches,
    batch: &BatchId,
    since: Timestamp,
    now: Timestamp,
) -> Result<Option<BatchSeries>, Failure> {
    if batches.begun_at(batch).await?.is_none() {
        return Ok(None);
    }
    let range = Minutes::since(since, now);
    let empty = range.starts().map(|at| MinuteOfBatch {
        at,
        finished: 0,
        access_removed: 0,
    });
    let mut series = BatchSeries {
        batch_id: batch.clone(),
        as_of: now,
        unreadable: 0,
        minutes: empty.collect(),
    };
    let mut from = Some(0);
    while let Some(first) = from {
        let members = batches.begun(batch, first, PAGE).await?.members;
        for known in batches.summaries(batch, &members.users).await? {
            series.add(&known, &range);
        }
        from = members.next;
    }
    Ok(Some(series))
}

impl BatchSeries {
    fn add(&mut self, known: &Known, range: &Minutes) {
        let summary = match known {
            Known::Nothing => return,
            Known::Unreadable => {
                self.unreadable += 1;
                return;
            }
            Known::Summary(summary) => summary,
        };
        // The results of an earlier request are not of this batch.
        if summary.batch_id.as_ref() != Some(&self.batch_id) {
            return;
        }
        let Summary {
            finished_at,
            access_removed_at,
            ..
        } = summary;
        if let Some(minute) = self.minute(*finished_at, range) {
            minute.finished += 1;
        }
        if let Some(minute) = self.minute(*access_removed_at, range) {
            minute.access_removed += 1;
        }
    }

    fn minute(&mut self, at: Option<Timestamp>, range: &Minutes) -> Option<&mut MinuteOfBatch> {
        self.minutes.get_mut(range.place_of(at?)?)
    }
}
