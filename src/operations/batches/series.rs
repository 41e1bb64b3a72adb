use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::{Known, Summary};
use crate::job::BatchId;
use crate::operations::series::Minutes;

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

impl BatchSeries {
    /// The last 48 hours, in which nothing happened so far.
    pub(super) fn new(batch_id: BatchId, now: Timestamp) -> Self {
        let empty = Minutes::all(now).starts().map(|at| MinuteOfBatch {
            at,
            finished: 0,
            access_removed: 0,
        });
        Self {
            batch_id,
            as_of: now,
            unreadable: 0,
            minutes: empty.collect(),
        }
    }

    /// The minutes from this time on; at least the last one.
    pub(crate) fn since(&self, since: Timestamp) -> Self {
        let wanted = Minutes::since(since, self.as_of);
        let left_out = self.minutes.len() - usize::from(wanted.count);
        Self {
            batch_id: self.batch_id.clone(),
            minutes: self.minutes.iter().skip(left_out).copied().collect(),
            ..*self
        }
    }

    pub(super) fn add(&mut self, known: &Known) {
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
        let range = Minutes::all(self.as_of);
        if let Some(minute) = self.minute(*finished_at, &range) {
            minute.finished += 1;
        }
        if let Some(minute) = self.minute(*access_removed_at, &range) {
            minute.access_removed += 1;
        }
    }

    fn minute(&mut self, at: Option<Timestamp>, range: &Minutes) -> Option<&mut MinuteOfBatch> {
        self.minutes.get_mut(range.place_of(at?)?)
    }
}
