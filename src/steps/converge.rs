//! Reads that lag: a write that no read shows yet is polled with an exponential backoff; after that, the run ends and a
//! later run polls again, until a deadline.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use crate::machine::{Event, Pause};

/// Reads lag behind writes, mostly by less than a second: the step itself polls for this long. What takes longer waits in
/// the broker, so that it holds no slot and no delivery.
const POLL_FOR: Duration = Duration::from_secs(2);

/// Before this time after the last write is over, a read that does not show the write proves nothing.
const DEADLINE: SignedDuration = SignedDuration::from_secs(30);

const AGAIN_AFTER: SignedDuration = SignedDuration::from_secs(3);

/// Polls within one run, with an exponential backoff.
pub(super) struct ConvergencePoll {
    until: Instant,
    pause: Duration,
}

impl ConvergencePoll {
    pub(super) fn new() -> Self {
        Self {
            until: Instant::now() + POLL_FOR,
            pause: Duration::from_millis(100),
        }
    }

    /// Waits before the next read; `false` when the run has polled long enough.
    pub(super) async fn wait(&mut self) -> bool {
        if Instant::now() + self.pause > self.until {
            return false;
        }
        tokio::time::sleep(self.pause).await;
        self.pause *= 2;
        true
    }
}

/// Lets a later run read again; `None` once the deadline after the last write is over.
pub(super) fn later(since: Timestamp, now: Timestamp) -> Option<Event> {
    (now.duration_since(since) < DEADLINE).then(|| Event::StepPostponed {
        until: now + AGAIN_AFTER,
        why: Pause::NotConverged,
    })
}
