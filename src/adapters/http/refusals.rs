//! Finds out whether a refused write is one user's fault or everyone's: a refusal that several users meet, with no
//! success in between, is a fault of the tenant's or of ours. The worker's circuit breaker then stops taking users.

use std::collections::HashMap;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// When this many users meet the same refusal of the same write, and no such write succeeds in between, every user
/// would meet it. No probe can find that out, since a probe writes nothing.
const MANY: usize = 5;
/// Refusals that are further apart are unrelated: users whose own data is at fault become dead letters one by one.
const WITHIN: Duration = Duration::from_mins(1);
/// Once every user meets it, the circuit breaker lets one user at a time through, at most one in ten seconds. The fault
/// remains systemic while at least two of those users are refused within this time. If it is the same user again and
/// again, the fault is that user's own.
const LASTING: Duration = Duration::from_mins(5);

/// The recent refusals of this process, by call.
#[derive(Default)]
pub(crate) struct Refusals(Mutex<HashMap<&'static str, Streak>>);

/// Consecutive equal refusals of one call.
struct Streak {
    refusal: String,
    users: HashMap<String, Instant>,
    is_systemic: bool,
}

impl Refusals {
    /// Notes that a user was refused. `Some` is the number of users, once that makes the fault systemic.
    pub(crate) fn record(&self, call: &'static str, refusal: &str, user: &str) -> Option<usize> {
        let mut calls = self.0.lock();
        let fresh = || Streak {
            refusal: refusal.to_owned(),
            users: HashMap::new(),
            is_systemic: false,
        };
        let streak = calls.entry(call).or_insert_with(fresh);
        if streak.refusal != refusal {
            *streak = fresh();
        }

        let (recent, enough) = if streak.is_systemic {
            (LASTING, 2)
        } else {
            (WITHIN, MANY)
        };
        let now = Instant::now();
        streak
            .users
            .retain(|_, at| now.duration_since(*at) < recent);
        streak.users.insert(user.to_owned(), now);

        let count = streak.users.len();
        streak.is_systemic = count >= enough;
        streak.is_systemic.then_some(count)
    }

    /// Notes that such a call succeeded.
    pub(crate) fn succeeded(&self, call: &'static str) {
        self.0.lock().remove(call);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CALL: &str = "put";
    const REFUSAL: &str = "400 mutability";

    #[tokio::test(start_paused = true)]
    async fn different_users_count_with_the_same_refusal_of_the_same_call_and_no_success_in_between()
     {
        let refusals = Refusals::default();
        let met = |user: &str| refusals.record(CALL, REFUSAL, user);
        assert_eq!(["a", "a", "b", "c", "d", "a"].map(met), [None; 6]);
        assert_eq!(refusals.record("patch", REFUSAL, "e"), None, "another call");
        assert_eq!(refusals.record(CALL, "409", "e"), None, "another refusal");
        assert_eq!(
            ["a", "b", "c", "d"].map(met),
            [None; 4],
            "the streak before it is over"
        );
        refusals.succeeded(CALL);
        assert_eq!(
            ["a", "b", "c", "d"].map(met),
            [None; 4],
            "one call succeeded"
        );
        tokio::time::advance(WITHIN).await;
        assert_eq!(met("e"), None, "the others were long ago");
        assert_eq!(["f", "g", "h", "i"].map(met), [None, None, None, Some(5)]);
    }

    #[tokio::test(start_paused = true)]
    async fn it_remains_systemic_while_several_users_meet_it_and_a_single_user_makes_it_that_users_own()
     {
        let refusals = Refusals::default();
        for user in ["a", "b", "c", "d"] {
            assert_eq!(refusals.record(CALL, REFUSAL, user), None);
        }
        for turn in 0..40 {
            let user = ["e", "f"][turn % 2];
            assert!(
                refusals.record(CALL, REFUSAL, user).is_some(),
                "turn {turn}"
            );
            tokio::time::advance(Duration::from_secs(20)).await;
        }
        let mut single = Vec::new();
        for _ in 0..40 {
            single.push(refusals.record(CALL, REFUSAL, "e").is_some());
            tokio::time::advance(Duration::from_secs(20)).await;
        }
        assert_eq!((single.first(), single.last()), (Some(&true), Some(&false)));
    }
}
