//! Guards: which users are never changed, which are not deleted, and which not yet. They are pure;
//! `plan`, the first step of a user and the last check before a DELETE use the same ones (see
//! `steps/guard.rs`).

pub(crate) mod approval;
mod end;
mod hold;
mod protected;

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::job::Request;
use crate::limits::RateLimit;
use crate::machine::Pause;

pub(crate) use end::End;
pub(crate) use hold::Hold;
#[cfg(test)]
pub(crate) use protected::NOBODY;
pub(crate) use protected::ProtectedList;

/// Whether a deletion may be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    Proceed,
    Postpone {
        until: Timestamp,
        why: Pause,
    },
    /// A legal hold: this user is not deleted.
    Held(Hold),
}

/// The settings that hold deletions back.
#[derive(Debug, Clone)]
pub(crate) struct Guards {
    /// Time between Deactivated and the deletion.
    pub delete_grace: Duration,
    /// At most this many deletions within a period, over all workers.
    pub deletion_rate_limit: Option<RateLimit>,
}

impl Guards {
    /// Whether time passes between the deactivation and the deletion, in which one may go back.
    pub(crate) fn leaves_time(&self, request: &Request, now: Timestamp) -> bool {
        let is_later = request.delete_after.is_some_and(|until| until > now);
        is_later || !self.delete_grace.is_zero()
    }

    /// A hold overrides everything but the protected list. Then the later of the request's
    /// `deleteAfter` and the grace period decides, which begins when a read confirmed the
    /// deactivation and never begins again.
    pub(crate) fn on_deletion(
        &self,
        request: &Request,
        deactivated_at: Timestamp,
        hold: Option<Hold>,
        now: Timestamp,
    ) -> Verdict {
        if let Some(hold) = hold.filter(|hold| hold.held) {
            return Verdict::Held(hold);
        }
        // Without a grace period there is no wait, even if the clock of the worker that deactivated
        // the user was ahead.
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
    fn the_later_of_grace_period_and_delete_after_decides() {
        let guards = Guards {
            delete_grace: Duration::from_secs(100),
            deletion_rate_limit: None,
        };
        let mut request = Request::default();
        let verdict = |request: &Request, now| guards.on_deletion(request, at(1000), None, at(now));
        let postponed = |until| Verdict::Postpone {
            until: at(until),
            why: Pause::NotDue,
        };
        assert_eq!(verdict(&request, 1099), postponed(1100));
        assert_eq!(verdict(&request, 1100), Verdict::Proceed);
        request.delete_after = Some(at(2000));
        assert_eq!(verdict(&request, 1999), postponed(2000));
        request.delete_after = Some(at(1050));
        assert_eq!(verdict(&request, 1060), postponed(1100));
    }

    #[test]
    fn without_a_grace_period_there_is_no_wait_for_a_clock_that_is_ahead() {
        let guards = Guards {
            delete_grace: Duration::ZERO,
            deletion_rate_limit: None,
        };
        let on_deletion = guards.on_deletion(&Request::default(), at(9000), None, at(1000));
        assert_eq!(on_deletion, Verdict::Proceed);
    }

    #[test]
    fn a_hold_overrides_what_is_due_and_a_lifted_one_does_not() {
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
        let verdict =
            |held| guards.on_deletion(&Request::default(), at(0), Some(hold(held)), at(1));
        assert_eq!(verdict(true), Verdict::Held(hold(true)));
        assert_eq!(verdict(false), Verdict::Proceed);
    }
}
