//! Which users wait for a rate limit.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::job::UserId;

/// Users who wait for a rate limit, and until when. A user whose time is over is not
/// counted any more, even if another worker took the job.
#[derive(Default)]
pub(super) struct RateLimited(Mutex<BTreeMap<UserId, Instant>>);

impl RateLimited {
    pub(super) fn add(&self, user_id: UserId, wait: Duration) {
        self.0.lock().insert(user_id, Instant::now() + wait);
    }

    pub(super) fn remove(&self, user_id: UserId) {
        self.0.lock().remove(&user_id);
    }

    pub(super) fn count(&self) -> usize {
        let now = Instant::now();
        let mut users = self.0.lock();
        users.retain(|_user_id, until| *until > now);
        users.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_counts_once_and_until_the_wait_is_over() {
        let users = RateLimited::default();
        let [one, other] = ["0e7f0d4e", "1e7f0d4e"].map(|start| {
            format!("{start}-9a51-4b4b-8f6c-1f9a4f9b7c11")
                .parse()
                .unwrap()
        });

        users.add(one, Duration::from_mins(1));
        users.add(one, Duration::from_mins(2));
        users.add(other, Duration::ZERO);
        assert_eq!(users.count(), 1);
        users.remove(one);
        assert_eq!(users.count(), 0);
    }
}
