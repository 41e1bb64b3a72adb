//! Users that the simulator serves, and how each has to end.

use serde_json::{Map, Value, json};

/// Conversations in one answer of the API.
pub(crate) const PAGE_SIZE: usize = 5;

/// How a user's deletion ends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Outcome {
    /// 204
    Deleted,
    /// 204, to one of two workers that know nothing of each other; the other finds the user gone.
    DeletedByEither,
    /// 202, gone a little later
    DeletedLater,
    /// The API refuses this one user, with this status.
    Refused(u16),
    /// The tenant offers no deletion (405).
    NotOffered,
    /// The vendor has no deletion, so that none is asked for.
    NeverOffered,
    /// Something still routes work to the user, so that a deletion that could be is held.
    Held,
}

impl Outcome {
    fn status(self) -> u16 {
        match self {
            Self::Deleted | Self::DeletedByEither => 204,
            Self::DeletedLater => 202,
            Self::Refused(status) => status,
            Self::NotOffered => 405,
            // Nobody asks.
            Self::NeverOffered | Self::Held => 500,
        }
    }

    /// Whether the user is gone in the end.
    pub(crate) fn is_deleted(self) -> bool {
        matches!(
            self,
            Self::Deleted | Self::DeletedByEither | Self::DeletedLater
        )
    }

    /// What the manifest has to say, for `check_manifests.py`; one of several where both are right.
    pub(crate) fn expectation(self) -> Value {
        match self {
            Self::Deleted => json!({ "status": "DELETED", "outcome": "deleted" }),
            Self::DeletedByEither => {
                json!({ "status": "DELETED", "outcome": ["deleted", "already_gone"] })
            }
            Self::DeletedLater => {
                json!({ "status": "DELETED", "outcome": "deleted", "confirmed": true })
            }
            Self::Refused(code) => {
                json!({ "status": "DEACTIVATED_ONLY", "outcome": "refused", "code": code })
            }
            Self::NotOffered => {
                json!({ "status": "DEACTIVATED_ONLY", "outcome": "not_offered", "code": 405 })
            }
            Self::NeverOffered => {
                json!({ "status": "DEACTIVATED_ONLY", "outcome": "not_offered", "sealed": false })
            }
            Self::Held => json!({
                "status": "DEACTIVATED_ONLY", "outcome": ["held", "not_offered"], "sealed": false, "cleared": false,
            }),
        }
    }
}

/// A user of the simulator.
#[derive(Clone, Debug)]
pub(crate) struct User {
    pub(crate) id: String,
    pub(crate) outcome: Outcome,
    conversations: usize,
    conversation_bytes: Option<usize>,
    /// Further members of the record.
    extras: Map<String, Value>,
}

impl User {
    /// The `number`th user of the place.
    pub(crate) fn new(place: usize, number: usize, outcome: Outcome, conversations: usize) -> Self {
        Self {
            id: user_id(place, number),
            outcome,
            conversations,
            conversation_bytes: None,
            extras: Map::new(),
        }
    }

    /// The same with these members of the simulator's record, e.g. `{"sessions": 3}`.
    pub(crate) fn with(mut self, extras: &Value) -> Self {
        let extras = extras.as_object().expect("members");
        self.extras.extend(extras.clone());
        self
    }

    /// A member of the simulator's record that was asked for.
    pub(crate) fn extra(&self, name: &str) -> &Value {
        self.extras.get(name).unwrap_or(&Value::Null)
    }

    /// The same with conversations of about this many bytes.
    pub(crate) fn with_large_conversations(self, bytes: usize) -> Self {
        Self {
            conversation_bytes: Some(bytes),
            ..self
        }
    }

    /// How many pages the conversations fill.
    pub(crate) fn pages(&self) -> usize {
        self.conversations.div_ceil(PAGE_SIZE).max(1)
    }

    /// The simulator's record of it.
    pub(crate) fn record(&self) -> Value {
        let mut record = json!({
            "id": self.id,
            "conversations": self.conversations,
            "conversationBytes": self.conversation_bytes,
            "deletion": { "status": self.outcome.status() },
        });
        let members = record.as_object_mut().expect("members");
        members.extend(self.extras.clone());
        record
    }
}

/// An ID that no other place uses.
pub(crate) fn user_id(place: usize, number: usize) -> String {
    format!("{place:08x}-0f0b-4a4d-8b00-{number:012x}")
}

/// Users who can be deleted, with this many conversations each.
pub(crate) fn deletable(place: usize, count: usize, conversations: usize) -> Vec<User> {
    (0..count)
        .map(|number| User::new(place, number, Outcome::Deleted, conversations))
        .collect()
}

/// Mostly deletable users, among them refused ones; their archives have no page, one or several.
pub(crate) fn mixed(place: usize, count: usize) -> Vec<User> {
    let outcome = |number| match number % 20 {
        3 => Outcome::Refused(409),
        8 => Outcome::NotOffered,
        13 => Outcome::Refused(423),
        17 => Outcome::DeletedLater,
        _ => Outcome::Deleted,
    };
    (0..count)
        .map(|number| User::new(place, number, outcome(number), number % 4 * 4))
        .collect()
}
