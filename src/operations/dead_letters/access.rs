//! Whether the users of dead letters still have access, as far as offboarder knows.

use serde::Serialize;
use utoipa::ToSchema;

use super::DeadLetter;
use crate::failure::Reason;
use crate::machine::{Checkpoint, StateName};

/// Whether the user still has access
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Access {
    /// The account was not deactivated yet.
    StillThere,
    /// A read showed that the account is deactivated, or no longer exists.
    Gone,
    /// The user is unknown, or nothing says how far the user got.
    Unknown,
}

impl Access {
    /// For people.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::StillThere => "still there",
            Self::Gone => "gone",
            Self::Unknown => "unknown",
        }
    }

    /// The access of the user of a dead letter. The checkpoint knows more than the dead letter: another message may have
    /// continued.
    pub(crate) fn of(dead_letter: &DeadLetter, checkpoint: Option<&Checkpoint>) -> Self {
        let state = match checkpoint {
            Some(checkpoint) => Some(checkpoint.state.name()),
            // A worker that gives up a poisonous message has not read the user's state.
            None => dead_letter
                .last_state()
                .filter(|state| dead_letter.reason != Reason::Poison || *state >= REMOVED),
        };
        match state {
            Some(state) if state >= REMOVED => Self::Gone,
            // The person may have an account with another ID, or in another tenant.
            Some(_) if dead_letter.reason == Reason::UserNotFound => Self::Unknown,
            Some(_) if dead_letter.user_id.is_some() => Self::StillThere,
            Some(_) | None => Self::Unknown,
        }
    }
}

/// The first state in which the access is gone.
const REMOVED: StateName = StateName::Deactivated;

/// How many users of dead letters still have access
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AccessCounts {
    /// The account was not deactivated yet.
    pub still_there: usize,
    /// The account is deactivated, or no longer exists.
    pub gone: usize,
    /// Nothing says how far the user got.
    pub unknown: usize,
}

impl AccessCounts {
    pub(super) const fn add(&mut self, access: Access) {
        match access {
            Access::StillThere => self.still_there += 1,
            Access::Gone => self.gone += 1,
            Access::Unknown => self.unknown += 1,
        }
    }

    pub(super) const fn add_all(&mut self, other: Self) {
        self.still_there += other.still_there;
        self.gone += other.gone;
        self.unknown += other.unknown;
    }

    /// For people, e.g. `still there 3, gone 10`.
    pub(crate) fn line(self) -> String {
        let counts = [
            (Access::StillThere, self.still_there),
            (Access::Gone, self.gone),
            (Access::Unknown, self.unknown),
        ];
        let shown: Vec<String> = counts
            .into_iter()
            .filter(|(_, count)| *count > 0)
            .map(|(access, count)| format!("{} {count}", access.as_str()))
            .collect();
        shown.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::super::dead_letter::tests::envelope;
    use super::*;
    use crate::job::Request;
    use crate::queue::headers::dead_letter;

    const ID: &str = "3f1f0d4e-9a51-4b4b-8f6c-1f9a4f9b7c11";

    fn of(body: &str, reason: &str, state: &str) -> DeadLetter {
        let headers = vec![
            (dead_letter::REASON, reason.into()),
            (dead_letter::STATE, state.into()),
        ];
        DeadLetter::read(&envelope(body, headers))
    }

    #[test]
    fn access_is_gone_only_where_something_says_so_and_unknown_is_not_gone() {
        let access = |body, reason, state| Access::of(&of(body, reason, state), None);
        for (reason, state, expected) in [
            ("api_rejected", "Received", Access::StillThere),
            ("api_rejected", "QueuesCleared", Access::StillThere),
            ("api_rejected", "Deactivated", Access::Gone),
            ("api_rejected", "Archived", Access::Gone),
            ("api_rejected", "", Access::Unknown),
            ("api_rejected", "Nonsense", Access::Unknown),
            ("poison", "Received", Access::Unknown),
            ("poison", "Archived", Access::Gone),
            ("user_not_found", "Received", Access::Unknown),
            ("protected_user", "Received", Access::StillThere),
        ] {
            assert_eq!(access(ID, reason, state), expected, "{reason} {state}");
        }
        assert_eq!(
            access("no message", "malformed_message", "Received"),
            Access::Unknown
        );

        // The checkpoint of a poisonous message's user says what its header cannot.
        let at = Timestamp::UNIX_EPOCH;
        let checkpoint = Checkpoint::new(ID.parse().unwrap(), Request::default(), at);
        let poison = of(ID, "poison", "Received");
        assert_eq!(Access::of(&poison, Some(&checkpoint)), Access::StillThere);
    }

    #[test]
    fn counts_are_shown_without_zeros() {
        let mut counts = AccessCounts::default();
        counts.add(Access::Gone);
        counts.add(Access::Unknown);
        counts.add(Access::Unknown);
        assert_eq!(counts.line(), "gone 1, unknown 2");
    }
}
