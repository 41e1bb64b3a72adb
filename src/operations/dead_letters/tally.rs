//! Counts who of a group still has access, with the checkpoints of those whose dead letters cannot say.

use futures_util::stream::{self, StreamExt as _};

use super::outcome::checkpoint_of;
use super::{Access, AccessCounts, DeadLetter};
use crate::failure::Failure;
use crate::ports::Checkpoints;

/// How many users of a group are read; the dead letters of further ones speak for themselves.
const READ: usize = 1000;
const READS_AT_ONCE: usize = 16;

/// The dead letters of a group during a scan.
#[derive(Debug, Default)]
pub(super) struct AccessTally {
    counts: AccessCounts,
    /// Those whose users may have got further since.
    to_read: Vec<DeadLetter>,
}

impl AccessTally {
    pub(super) fn add(&mut self, dead_letter: &DeadLetter) {
        let access = Access::of(dead_letter, None);
        let may_change = access != Access::Gone && dead_letter.user_id.is_some();
        if may_change && self.to_read.len() < READ {
            self.to_read.push(dead_letter.clone());
        } else {
            self.counts.add(access);
        }
    }

    /// The counts by the dead letters alone.
    pub(super) fn claimed(&self) -> AccessCounts {
        let mut counts = self.counts;
        for dead_letter in &self.to_read {
            counts.add(Access::of(dead_letter, None));
        }
        counts
    }

    /// The counts with the checkpoints, or why one cannot be read.
    pub(super) async fn confirmed(
        self,
        checkpoints: &dyn Checkpoints,
    ) -> Result<AccessCounts, Failure> {
        let mut counts = self.counts;
        let to_read = self.to_read.into_iter();
        let reading = to_read.map(|dead_letter| try_read(checkpoints, dead_letter));
        let mut reading = stream::iter(reading).buffer_unordered(READS_AT_ONCE);
        while let Some(access) = reading.next().await {
            counts.add(access?);
        }
        Ok(counts)
    }

    /// The counts. Without an answer of the checkpoint store the dead letters alone count.
    pub(super) async fn counts(self, checkpoints: &dyn Checkpoints) -> AccessCounts {
        let mut counts = self.counts;
        let to_read = self.to_read.into_iter();
        let reading = to_read.map(|dead_letter| read(checkpoints, dead_letter));
        let mut reading = stream::iter(reading).buffer_unordered(READS_AT_ONCE);
        while let Some(access) = reading.next().await {
            counts.add(access);
        }
        counts
    }
}

async fn try_read(
    checkpoints: &dyn Checkpoints,
    dead_letter: DeadLetter,
) -> Result<Access, Failure> {
    let checkpoint = checkpoint_of(checkpoints, &dead_letter).await?;
    Ok(Access::of(&dead_letter, checkpoint.as_ref()))
}

async fn read(checkpoints: &dyn Checkpoints, dead_letter: DeadLetter) -> Access {
    let read = checkpoint_of(checkpoints, &dead_letter).await;
    let checkpoint = read.unwrap_or_else(|failure| {
        tracing::debug!(%failure, "the access is taken from the dead letter");
        None
    });
    Access::of(&dead_letter, checkpoint.as_ref())
}
