//! What may be done with a set of dead letters: a replay, or a discard.

use serde_json::{Value, json};

use crate::people::Permission;

pub(super) const REPLAY: &str = "/operations/new";
pub(super) const DISCARD: &str = "/operations/discard";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    Replay,
    /// It cannot be undone: the messages leave the queue.
    Discard,
}

impl What {
    pub(super) const fn path(self) -> &'static str {
        match self {
            Self::Replay => REPLAY,
            Self::Discard => DISCARD,
        }
    }

    pub(super) const fn title(self) -> &'static str {
        match self {
            Self::Replay => "Replay dead letters",
            Self::Discard => "Discard dead letters",
        }
    }

    pub(super) const fn permission(self) -> Permission {
        match self {
            Self::Replay => Permission::Replay,
            Self::Discard => Permission::Discard,
        }
    }

    pub(super) const fn verb(self) -> &'static str {
        match self {
            Self::Replay => "replay",
            Self::Discard => "discard",
        }
    }

    pub(super) const fn button(self, is_moved: bool) -> &'static str {
        match (self, is_moved) {
            (Self::Replay, false) => "Replay",
            (Self::Replay, true) => "Replay those that you saw",
            (Self::Discard, false) => "Discard",
            (Self::Discard, true) => "Discard those that you saw",
        }
    }

    pub(super) const fn explanation(self) -> &'static str {
        match self {
            Self::Replay => {
                "One of each fault is sent first, then 10, then the rest. A fault that comes back stops its group. Each user continues at the last completed step."
            }
            Self::Discard => {
                "They leave the queue for good, after a copy of each is in the archive store. Users who still have access keep it, and nobody is reminded of them."
            }
        }
    }

    /// The members of an operation, beside those of the filter.
    pub(super) fn members(self, more: Value) -> Value {
        let mut members = json!({ "kind": self.verb(), "canary": self == Self::Replay });
        if let (Some(members), Value::Object(more)) = (members.as_object_mut(), more) {
            members.extend(more);
        }
        members
    }
}
