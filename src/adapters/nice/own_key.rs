//! What is known of the credentials that we call with.

use parking_lot::Mutex;

use super::numbers::Number;
use crate::job::UserId;

/// What is known of our own credentials.
pub(super) struct Own {
    pub(super) key: Option<String>,
    /// The user of the agent that the token names; `None` where its read says none.
    pub(super) resolved: Mutex<Option<(Number, Option<UserId>)>>,
    /// Whether the user whom the token names has our access key.
    pub(super) proven: Mutex<Option<(UserId, bool)>>,
}

impl Own {
    pub(super) fn new(key: Option<String>) -> Self {
        Self {
            key,
            resolved: Mutex::default(),
            proven: Mutex::default(),
        }
    }

    pub(super) fn is_key(&self, id: &str) -> bool {
        self.key.as_deref() == Some(id)
    }
}
