//! The rate limit of one class of calls.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// Calls a second over all connections, in a sliding window.
pub(super) struct Quota {
    per_second: u32,
    recent: Mutex<VecDeque<Instant>>,
}

impl Quota {
    pub(super) fn new(per_second: u32) -> Self {
        Self {
            per_second,
            recent: Mutex::default(),
        }
    }

    /// Counts a call; `false` when it exceeds the quota.
    pub(super) fn admit(&self) -> bool {
        if self.per_second == 0 {
            return true;
        }
        let now = Instant::now();
        let mut recent = self.recent.lock();
        while recent
            .front()
            .is_some_and(|at| now.duration_since(*at) >= Duration::from_secs(1))
        {
            recent.pop_front();
        }
        if recent.len() >= self.per_second as usize {
            return false;
        }
        recent.push_back(now);

        true
    }
}
