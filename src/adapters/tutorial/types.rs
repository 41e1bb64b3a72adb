//! What is read of the API's documents.

use std::fmt;
use std::str::FromStr;

use bytes::Bytes;

use crate::ports::Account;

/// A SCIM user as it was read.
#[derive(Debug, Clone)]
pub(super) struct ScimUser {
    pub(super) account: Account,
    /// What to send with a write, so that it fails if the account changed since.
    pub(super) version: Option<String>,
    pub(super) document: Bytes,
}

/// The ID of a queue; put into a URL as one percent-encoded segment.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct QueueId(String);

impl QueueId {
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

/// Checkpoints hold IDs as text, and may be forged: what would change the path of a URL is refused.
impl FromStr for QueueId {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_plain = (1..=128).contains(&text.len())
            && text != "."
            && text != ".."
            && !text.contains(char::is_control);
        if is_plain {
            Ok(Self(text.to_owned()))
        } else {
            Err("the ID cannot be used in a URL")
        }
    }
}

impl fmt::Display for QueueId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Which queues route work to a user, as it was read.
#[derive(Debug, Clone)]
pub(super) struct RoutingProfile {
    pub(super) queues: Vec<QueueId>,
    pub(super) version: Option<String>,
    pub(super) document: Bytes,
}

/// A queue as it was read for one user.
#[derive(Debug, Clone)]
pub(super) struct Queue {
    pub(super) id: QueueId,
    /// Whether that user owns or supervises it.
    pub(super) names_user: bool,
    pub(super) version: Option<String>,
    pub(super) document: Bytes,
}
