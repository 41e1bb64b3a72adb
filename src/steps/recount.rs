//! Restores the count of the deletion rate limit, when Redis lost it, from what the archive store shows.

use std::collections::HashMap;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use jiff::Timestamp;

use super::Services;
use super::deletions_seen::deletions_seen;
use crate::failure::Failure;
use crate::job::UserId;
use crate::limits::RateLimit;
use crate::ports::{ArchiveStore, CountOf};
use crate::progress::Progress;

/// User IDs begin with one of these. The store is listed one digit at a time, so that memory holds a few parts only.
const FIRST_DIGITS: [&str; 16] = [
    "0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "a", "b", "c", "d", "e", "f",
];
const AT_ONCE: usize = 4;

/// One at a time in each process: with a large bucket it takes minutes.
static RECOUNTING: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// Counts the deletions that the archive store shows. `false` when another task is already doing so.
pub(super) async fn recount(services: &Services, limit: RateLimit) -> Result<bool, Failure> {
    let Ok(_only) = RECOUNTING.try_lock() else {
        return Ok(false);
    };
    let now = services.clock.now();
    let store = &*services.archive_store;
    let seen = seen(store, limit, now, &services.progress).await?;

    tracing::warn!(
        deletions = seen.len(),
        "the count of the deletion rate limit is lost or new: it begins with what the archive store shows"
    );
    let seen: Vec<(UserId, Timestamp)> = seen.into_iter().collect();
    services
        .checkpoints
        .restore_count(CountOf::Deletions, limit.per, &seen)
        .await?;

    Ok(true)
}

impl Services {
    /// Makes sure that the deletion rate limit has a count before the first user is taken. Later, seals that wait for
    /// their deletion would count too.
    pub(crate) async fn count_deletions(&self) -> Result<(), Failure> {
        let Some(limit) = self.guards.deletion_rate_limit else {
            return Ok(());
        };
        if !self
            .checkpoints
            .count_reaches(CountOf::Deletions, limit.per)
            .await?
        {
            recount(self, limit).await?;
        }
        Ok(())
    }
}

async fn seen(
    store: &dyn ArchiveStore,
    limit: RateLimit,
    now: Timestamp,
    progress: &Progress,
) -> Result<HashMap<UserId, Timestamp>, Failure> {
    let parts = FIRST_DIGITS.map(|digit| async move {
        let listed = store.list(digit).await?;
        progress.made();
        Ok::<_, Failure>(deletions_seen(&listed, limit.per, now))
    });
    let parts = stream::iter(parts).buffer_unordered(AT_ONCE);
    parts
        .try_fold(HashMap::new(), async |mut all, part| {
            all.extend(part);
            Ok(all)
        })
        .await
}
