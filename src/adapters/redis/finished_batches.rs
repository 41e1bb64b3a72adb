//! When all users of a batch ended, which is announced: see [`super::scripts::SETTLE_IN_BATCH`]. The script
//! only counts, so that an end costs one round trip; who is really finished is read once the count
//! is complete.

use std::time::Duration;

use jiff::Timestamp;

use super::batches::RedisBatches;
use super::connection::millis;
use super::keys;
use crate::failure::Failure;
use crate::job::{BatchId, UserId};
use crate::machine::StateName;
use crate::ports::batches::{Batches as _, FinishedBatch, Known, Standing, Summary};

/// How long a batch is kept after its last user ended, where finished users are kept without a limit.
pub(super) const BATCH_KEPT: Duration = Duration::from_hours(24 * 7);

/// How many users are read at a time.
const PAGE: usize = 500;

impl RedisBatches {
    /// The count of changes of a batch whose users may all have ended, or 0.
    pub(super) async fn settle(
        &self,
        batch: &BatchId,
        user_id: UserId,
        at: Timestamp,
    ) -> Result<u64, Failure> {
        let mut script = self.settle.prepare_invoke();
        script
            .key(keys::batch_users(batch))
            .key(keys::batch_settled(batch))
            .arg(at.as_millisecond())
            .arg(user_id.to_string());
        self.connection.run(&script).await
    }

    /// Reads all users of a batch; `None` if one of them has something left to do.
    pub(super) async fn finished(
        &self,
        batch: &BatchId,
        change: u64,
    ) -> Result<Option<FinishedBatch>, Failure> {
        let mut finished = FinishedBatch {
            batch_id: batch.clone(),
            deleted: 0,
            deactivated_only: 0,
            dead_lettered: 0,
            cancelled: 0,
            at: Timestamp::UNIX_EPOCH,
            change,
        };
        let mut from = Some(0);
        while let Some(first) = from {
            let page = self.page(batch, first, PAGE).await?;
            for known in self.summaries(batch, &page.users).await? {
                if !count(&mut finished, &known) {
                    return Ok(None);
                }
            }
            from = page.next;
        }
        Ok((finished.users() > 0).then_some(finished))
    }

    pub(super) async fn note_announced(
        &self,
        batch: &FinishedBatch,
        kept: Duration,
    ) -> Result<(), Failure> {
        let mut script = self.announced.prepare_invoke();
        script
            .key(keys::batch_settled(&batch.batch_id))
            .arg(batch.change)
            .arg(millis(kept));
        self.connection.run::<u64>(&script).await.map(|_done| ())
    }
}

/// Counts a user; `false` if something is left to do.
fn count(finished: &mut FinishedBatch, known: &Known) -> bool {
    let Known::Summary(summary) = known else {
        return false;
    };
    // Whether a wait is over makes no difference here.
    let counter = match (summary.standing(summary.updated_at), summary.state) {
        (Standing::Cancelled, _) => &mut finished.cancelled,
        (Standing::DeadLetter, _) => &mut finished.dead_lettered,
        (Standing::Finished, StateName::Deleted) => &mut finished.deleted,
        (Standing::Finished, _) => &mut finished.deactivated_only,
        (Standing::Waiting | Standing::UnderWay | Standing::NotBegun | Standing::Unreadable, _) => {
            return false;
        }
    };
    *counter += 1;
    finished.at = finished.at.max(ended_at(summary));
    true
}

fn ended_at(summary: &Summary) -> Timestamp {
    let finished_at = summary
        .finished_at
        .filter(|_| summary.dead_letter.is_none());
    summary
        .cancelled_at
        .or(finished_at)
        .unwrap_or(summary.updated_at)
}
