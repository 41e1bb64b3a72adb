use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use crate::machine::{Event, Pause};

/// The API converges late, mostly within a second: so long a step reads again by itself. What takes
/// longer waits in the broker, so that no slot and no delivery is held for it.
const AT_ONCE: Duration = Duration::from_secs(2);

/// So long after the last write a read that does not show it is not yet taken for an answer.
const DEADLINE: SignedDuration = SignedDuration::from_secs(30);

/// The pause between visits.
const AGAIN_AFTER: SignedDuration = SignedDuration::from_secs(3);

/// How often a document that changed under us is read and written anew within one attempt.
pub(super) const MAX_CONFLICTS: usize = 5;

/// The pauses between reads of one visit.
pub(super) struct Patience {
    until: Instant,
    pause: Duration,
}

impl Patience {
    pub(super) fn new() -> Self {
        Self { until: Instant::now() + AT_ONCE, pause: Duration::from_millis(100) }
    }

    /// Waits a little; `false` when the visit has to end.
    pub(super) async fn wait(&mut self) -> bool {
        if Instant::now() + self.pause > self.until {
            return false;
        }
        tokio::time::sleep(self.pause).await;
        self.pause *= 2;
        true
    }
}

/// The visit ends and the next one reads again, until the deadline after the last write is over.
pub(super) fn later(since: Timestamp) -> Option<Event> {
    let now = Timestamp::now();
    (now.duration_since(since) < DEADLINE)
        .then(|| Event::StepPostponed { until: now + AGAIN_AFTER, why: Pause::NotConverged })
}
