use parking_lot::Mutex;
use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

/// Five users who meet the same refusal of the same write, with nobody who gets through between, are everybody.
/// No probe can ask: a probe writes nothing.
const MANY: usize = 5;
/// Refusals that are further apart have nothing to do with each other: users whose own data is at fault become dead
/// letters one by one.
const WITHIN: Duration = Duration::from_mins(1);
/// Once the fault is everybody's, the breaker lets one user at a time through, at most each ten seconds. It stays
/// everybody's while at least two of them are refused within this time; a single one, again and again, is that user's own.
const LASTING: Duration = Duration::from_mins(5);

/// The refusals that this process met lately, by call.
#[derive(Default)]
pub(super) struct Refusals(Mutex<HashMap<&'static str, Streak>>);

/// The same refusal again and again.
struct Streak {
    refusal: String,
    users: HashMap<String, Instant>,
    is_everybodys: bool,
}

impl Refusals {
    /// A user was refused; `Some` says to how many it happened, when that makes it everybody's fault.
    pub(super) fn met(&self, call: &'static str, refusal: &str, user: &str) -> Option<usize> {
        let mut calls = self.0.lock();
        let fresh = || Streak {
            refusal: refusal.to_owned(),
            users: HashMap::new(),
            is_everybodys: false,
        };
        let streak = calls.entry(call).or_insert_with(fresh);
        if streak.refusal != refusal {
            *streak = fresh();
        }
        let (lately, enough) = if streak.is_everybodys {
            (LASTING, 2)
        } else {
            (WITHIN, MANY)
        };
        let now = Instant::now();
        streak
            .users
            .retain(|_, at| now.duration_since(*at) < lately);
        streak.users.insert(user.to_owned(), now);
        let count = streak.users.len();
        streak.is_everybodys = count >= enough;
        streak.is_everybodys.then_some(count)
    }

    /// Such a call got through.
    pub(super) fn passed(&self, call: &'static str) {
        self.0.lock().remove(call);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CALL: &str = "put";
    const REFUSAL: &str = "400 mutability";

    #[tokio::test(start_paused = true)]
    async fn different_users_count_with_the_same_refusal_of_the_same_call_and_no_success_between() {
        let refusals = Refusals::default();
        let met = |user: &str| refusals.met(CALL, REFUSAL, user);
        assert_eq!(["a", "a", "b", "c", "d", "a"].map(met), [None; 6]);
        assert_eq!(refusals.met("patch", REFUSAL, "e"), None, "another call");
        assert_eq!(refusals.met(CALL, "409", "e"), None, "another refusal");
        assert_eq!(
            ["a", "b", "c", "d"].map(met),
            [None; 4],
            "and the row before it is over"
        );
        refusals.passed(CALL);
        assert_eq!(
            ["a", "b", "c", "d"].map(met),
            [None; 4],
            "somebody got through"
        );
        tokio::time::advance(WITHIN).await;
        assert_eq!(met("e"), None, "the others are long ago");
        assert_eq!(["f", "g", "h", "i"].map(met), [None, None, None, Some(5)]);
    }

    #[tokio::test(start_paused = true)]
    async fn it_stays_everybodys_while_one_after_the_other_tries_and_a_single_one_is_that_users() {
        let refusals = Refusals::default();
        for user in ["a", "b", "c", "d"] {
            assert_eq!(refusals.met(CALL, REFUSAL, user), None);
        }
        for turn in 0..40 {
            let user = ["e", "f"][turn % 2];
            assert!(refusals.met(CALL, REFUSAL, user).is_some(), "turn {turn}");
            tokio::time::advance(Duration::from_secs(20)).await;
        }
        let mut single = Vec::new();
        for _ in 0..40 {
            single.push(refusals.met(CALL, REFUSAL, "e").is_some());
            tokio::time::advance(Duration::from_secs(20)).await;
        }
        assert_eq!((single.first(), single.last()), (Some(&true), Some(&false)));
    }
}
