//! Guards on the deletion. Pure; looked at before the evidence is sealed, and again as the last
//! thing before the DELETE.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::job::Request;

/// What the guards say of a deletion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing stands against it.
    Proceed,
    /// Not before then.
    Postpone(Timestamp),
}

/// The settings that hold deletions back.
#[derive(Debug, Clone)]
pub struct Guards {
    /// Time between Deactivated and the deletion.
    pub delete_grace: Duration,
}

impl Guards {
    /// Looks at the request's `deleteAfter` and at the grace, whose clock starts when the read
    /// confirmed the deactivation and is never set back.
    pub fn on_deletion(&self, request: &Request, deactivated_at: Timestamp, now: Timestamp) -> Verdict {
        let grace = SignedDuration::try_from(self.delete_grace).unwrap_or(SignedDuration::MAX);
        let after_grace = deactivated_at.checked_add(grace).unwrap_or(Timestamp::MAX);
        let due = request.delete_after.map_or(after_grace, |wished| wished.max(after_grace));
        if now < due { Verdict::Postpone(due) } else { Verdict::Proceed }
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
        let guards = Guards { delete_grace: Duration::from_secs(100) };
        let mut request = Request::default();
        assert_eq!(guards.on_deletion(&request, at(1000), at(1099)), Verdict::Postpone(at(1100)));
        assert_eq!(guards.on_deletion(&request, at(1000), at(1100)), Verdict::Proceed);
        request.delete_after = Some(at(2000));
        assert_eq!(guards.on_deletion(&request, at(1000), at(1999)), Verdict::Postpone(at(2000)));
        request.delete_after = Some(at(1050));
        assert_eq!(guards.on_deletion(&request, at(1000), at(1060)), Verdict::Postpone(at(1100)));
    }
}
