//! How many users may come within a time whom messages name without an order of `submit`. Redis counts them; the archive
//! store has `_requests_{day}_{uuid}_{users}.json`.

use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::recorded_ahead::RecordedAhead;
use crate::failure::Failure;
use crate::limits::RateLimit;
use crate::ports::ArchiveStore;
use crate::registers::let_on_until;

/// How long an answer of the archive store is used.
const RECENT: Duration = Duration::from_secs(2);
const PREFIX: &str = "_requests_";

/// The limit of one worker's deployment.
pub(crate) struct RequestLimit {
    pub(super) recorded: RecordedAhead,
    /// Until when the users who wait are let on, and when that was read.
    let_on: Mutex<Option<(Instant, Option<Timestamp>)>>,
}

impl RequestLimit {
    pub(crate) fn new(limit: RateLimit) -> Self {
        Self {
            recorded: RecordedAhead::new(PREFIX, limit),
            let_on: Mutex::default(),
        }
    }

    /// Until when the users who wait are let on.
    pub(super) async fn let_on(
        &self,
        store: &dyn ArchiveStore,
    ) -> Result<Option<Timestamp>, Failure> {
        let mut let_on = self.let_on.lock().await;
        if let Some((at, until)) = *let_on
            && at.elapsed() < RECENT
        {
            return Ok(until);
        }
        let begun = Instant::now();
        let until = let_on_until(store).await?;
        *let_on = Some((begun, until));
        Ok(until)
    }
}
