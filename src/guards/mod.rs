//! Guards: who is never touched, who is not deleted, and who not yet. The judgements are pure; `plan`, the
//! intake of a user and the last moment before a DELETE ask the same ones (see `steps/guard.rs`). Holds and the
//! pause are set by the same code, whether a command or the admin API asks.

mod hold;

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::job::Request;
use crate::limits::DeletionRateLimit;
use crate::machine::Pause;

pub(crate) use hold::Hold;

/// What the guards say of a deletion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    Proceed,
    Postpone {
        until: Timestamp,
        why: Pause,
    },
    /// A legal hold: this user is not deleted.
    Held,
}

/// The settings that hold deletions back.
#[derive(Debug, Clone)]
pub(crate) struct Guards {
    /// Time between Deactivated and the deletion.
    pub delete_grace: Duration,
    /// At most this many deletions within a period, over all workers.
    pub deletion_rate_limit: Option<DeletionRateLimit>,
}

impl Guards {
    /// A hold beats everything but the protected list; then the later of the request's `deleteAfter` and the
    /// grace decides, whose clock starts when the read confirmed the deactivation and is never set back.
    pub(crate) fn on_deletion(
        &self,
        request: &Request,
        deactivated_at: Timestamp,
        hold: Option<&Hold>,
        now: Timestamp,
    ) -> Verdict {
        if hold.is_some_and(|hold| hold.held) {
            return Verdict::Held;
        }
        // Without a grace nothing is waited for, whatever the clock of the worker that deactivated said.
        let after_grace = (!self.delete_grace.is_zero()).then(|| {
            let grace = SignedDuration::try_from(self.delete_grace).unwrap_or(SignedDuration::MAX);
            deactivated_at.checked_add(grace).unwrap_or(Timestamp::MAX)
        });
        match after_grace.max(request.delete_after) {
            Some(until) if now < until => Verdict::Postpone {
                until,
                why: Pause::NotDue,
            },
            Some(_) | None => Verdict::Proceed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn the_later_of_grace_and_wish_decides() {
        let guards = Guards {
            delete_grace: Duration::from_secs(100),
            deletion_rate_limit: None,
        };
        let mut request = Request::default();
        let look = |request: &Request, now| guards.on_deletion(request, at(1000), None, at(now));
        let postponed = |until| Verdict::Postpone {
            until: at(until),
            why: Pause::NotDue,
        };
        assert_eq!(look(&request, 1099), postponed(1100));
        assert_eq!(look(&request, 1100), Verdict::Proceed);
        request.delete_after = Some(at(2000));
        assert_eq!(look(&request, 1999), postponed(2000));
        request.delete_after = Some(at(1050));
        assert_eq!(look(&request, 1060), postponed(1100));
    }

    #[test]
    fn without_a_grace_a_clock_that_is_behind_waits_for_nothing() {
        let guards = Guards {
            delete_grace: Duration::ZERO,
            deletion_rate_limit: None,
        };
        let verdict = guards.on_deletion(&Request::default(), at(9000), None, at(1000));
        assert_eq!(verdict, Verdict::Proceed);
    }

    #[test]
    fn a_hold_beats_what_is_due_and_a_lifted_one_does_not() {
        let guards = Guards {
            delete_grace: Duration::ZERO,
            deletion_rate_limit: None,
        };
        let hold = |held| Hold {
            held,
            who: "w".to_owned(),
            why: None,
            at: at(0),
            passes_over: Vec::new(),
        };
        let look = |hold: &Hold| guards.on_deletion(&Request::default(), at(0), Some(hold), at(1));
        assert_eq!(look(&hold(true)), Verdict::Held);
        assert_eq!(look(&hold(false)), Verdict::Proceed);
    }
}
