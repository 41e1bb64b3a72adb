use std::time::Duration;

use tokio::time::Instant;

/// How long a step waits for reads to show what was written. What takes longer is tried again as a
/// whole, so that no slot is held for it.
const DEADLINE: Duration = Duration::from_secs(10);

/// How often a document that changed under us is read and written anew within one attempt.
pub(super) const MAX_CONFLICTS: usize = 5;

/// The pauses between reads until the deadline: the API converges late (`docs/contract`), mostly
/// within a second.
pub(super) struct Patience {
    until: Instant,
    pause: Duration,
}

impl Patience {
    pub(super) fn new() -> Self {
        Self::lasting(DEADLINE)
    }

    pub(super) fn lasting(deadline: Duration) -> Self {
        Self { until: Instant::now() + deadline, pause: Duration::from_millis(100) }
    }

    /// Waits a little; `false` when the deadline is over.
    pub(super) async fn wait(&mut self) -> bool {
        if Instant::now() + self.pause > self.until {
            return false;
        }
        tokio::time::sleep(self.pause).await;
        self.pause = (self.pause * 2).min(Duration::from_secs(2));
        true
    }
}
