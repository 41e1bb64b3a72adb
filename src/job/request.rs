//! What a message asks for, and who asked.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{OrderName, PlanName};

/// How far an off-boarding goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Action {
    /// Delete the account, if the tenant allows it.
    #[default]
    Delete,
    /// Clear the queues, deactivate and archive, then stop at `DeactivatedOnly`.
    Deactivate,
}

impl Action {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Delete => "delete",
            Self::Deactivate => "deactivate",
        }
    }
}

/// Name of a batch: 1 to 128 letters, digits, `.`, `_`, `:` or `-`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(try_from = "String", into = "String")]
#[schema(value_type = String, pattern = "^[A-Za-z0-9._:-]{1,128}$", example = "2026-11")]
pub struct BatchId(String);

impl FromStr for BatchId {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b"._:-".contains(&b);
        if (1..=128).contains(&text.len()) && text.bytes().all(allowed) {
            Ok(Self(text.to_owned()))
        } else {
            Err("a batch ID is 1 to 128 letters, digits, '.', '_', ':' or '-'")
        }
    }
}

impl TryFrom<String> for BatchId {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<BatchId> for String {
    fn from(id: BatchId) -> Self {
        id.0
    }
}

impl fmt::Display for BatchId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What was requested, by whom and when. The checkpoint keeps it and the manifest names it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Request {
    /// How far the off-boarding goes.
    #[serde(default)]
    pub action: Action,
    /// Whether the message names the action. Only such a message repeats a deletion that was
    /// refused before.
    #[serde(skip)]
    pub action_named: bool,
    /// Batch of the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch_id: Option<BatchId>,
    /// Earliest time of the deletion.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub delete_after: Option<Timestamp>,
    /// Who requested the off-boarding.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requested_by: Option<String>,
    /// Why it was requested.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When it was requested, according to the requester.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub requested_at: Option<Timestamp>,
    /// When a worker first received the message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub received_at: Option<Timestamp>,
    /// SHA-256 of the message body, lower-case hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message_sha256: Option<String>,
    /// The part of an order of `submit` that the message names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<OrderName>,
    /// The approved plan that permitted the deletion. No message sets it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<PlanName>,
    /// The approvals that counted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub approvals: Vec<Approval>,
}

/// A second person's approval of a deletion
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Approval {
    /// The person's name in the people file.
    pub person: String,
    /// The person's role at that time.
    pub role: String,
    /// When it was stored, by the archive store's clock.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// An admin alone, in an emergency: deleted without approval.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub break_glass: bool,
}

impl Request {
    /// Removes what `message` does not ask for, since a stored request must not widen it. If this
    /// request was made from the same message, the message replaces it.
    pub(crate) fn narrow(&mut self, message: &Self) {
        if self.message_sha256.is_some() && self.message_sha256 == message.message_sha256 {
            let first = [self.received_at, message.received_at]
                .into_iter()
                .flatten()
                .min();
            *self = Self {
                received_at: first,
                plan: self.plan.take(),
                approvals: std::mem::take(&mut self.approvals),
                ..message.clone()
            };
        } else {
            if message.action == Action::Deactivate {
                self.action = Action::Deactivate;
            }
            self.delete_after = self.delete_after.max(message.delete_after);
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
    fn a_stored_request_never_widens_what_a_message_asks_for() {
        let message = |action, delete_after: i64, sha256: &str| Request {
            action,
            delete_after: Some(at(delete_after)),
            requested_by: Some("hr".to_owned()),
            received_at: Some(at(100)),
            message_sha256: Some(sha256.to_owned()),
            ..Request::default()
        };

        // Made from the same message: the message replaces it.
        let mut stored = Request {
            requested_by: Some("ceo".to_owned()),
            ..message(Action::Delete, 0, "a")
        };
        stored.received_at = Some(at(50));
        stored.narrow(&message(Action::Deactivate, 9, "a"));
        assert_eq!(
            stored,
            Request {
                received_at: Some(at(50)),
                ..message(Action::Deactivate, 9, "a")
            }
        );

        // Made from another message: the lesser action and the later time.
        for (one, other, lesser) in [
            (Action::Delete, Action::Deactivate, Action::Deactivate),
            (Action::Deactivate, Action::Delete, Action::Deactivate),
            (Action::Delete, Action::Delete, Action::Delete),
        ] {
            for (first, second) in [(5, 9), (9, 5)] {
                let mut stored = message(one, first, "a");
                stored.narrow(&message(other, second, "b"));
                assert_eq!((stored.action, stored.delete_after), (lesser, Some(at(9))));
            }
        }
    }
}
