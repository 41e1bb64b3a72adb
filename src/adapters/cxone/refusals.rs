use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// So many users who meet the same refusal of the same write, and nobody who gets through between, are everybody.
/// No probe can ask: a probe writes nothing.
pub(super) const MANY: usize = 5;
/// Refusals that are further apart have nothing to do with each other: users whose own data is at fault become dead
/// letters one by one.
pub(super) const WITHIN: Duration = Duration::from_mins(1);

/// The refusals that this process met lately, by call.
#[derive(Default)]
pub(super) struct Refusals(Mutex<HashMap<&'static str, Streak>>);

/// The same refusal again and again.
struct Streak {
    refusal: String,
    users: HashMap<String, Instant>,
}

impl Refusals {
    /// A user was refused; says how many were refused so.
    pub(super) fn met(&self, call: &'static str, refusal: &str, user: &str) -> usize {
        let mut calls = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = || Streak { refusal: refusal.to_owned(), users: HashMap::new() };
        let streak = calls.entry(call).or_insert_with(fresh);
        if streak.refusal != refusal {
            *streak = fresh();
        }
        let now = Instant::now();
        streak.users.retain(|_, at| now.duration_since(*at) < WITHIN);
        // What is over the number changes nothing.
        if streak.users.len() < 4 * MANY || streak.users.contains_key(user) {
            streak.users.insert(user.to_owned(), now);
        }
        streak.users.len()
    }

    /// Such a call got through.
    pub(super) fn passed(&self, call: &'static str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(call);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn different_users_count_with_the_same_refusal_of_the_same_call_and_no_success_between() {
        let refusals = Refusals::default();
        let met = |user: &str| refusals.met("put", "400 mutability", user);
        assert_eq!(["a", "a", "b", "c"].map(met), [1, 1, 2, 3]);
        assert_eq!(refusals.met("patch", "400 mutability", "d"), 1, "another call");
        assert_eq!(refusals.met("put", "409", "d"), 1, "another refusal");
        assert_eq!(met("a"), 1, "and the row before it is over");
        met("b");
        refusals.passed("put");
        assert_eq!(met("c"), 1, "somebody got through");
        tokio::time::advance(WITHIN / 2).await;
        assert_eq!(met("d"), 2);
        tokio::time::advance(WITHIN / 2).await;
        assert_eq!(met("e"), 2, "the first is long ago");
    }
}
