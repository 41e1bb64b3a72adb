//! What is known of the credentials that we call with.

use parking_lot::Mutex;

use super::numbers::Number;
use crate::job::UserId;

/// What is known of our own credentials.
pub(super) struct Own {
    pub(super) key: Option<String>,
    /// The user of the agent that the token names.
    pub(super) resolved: Mutex<Option<(Number, UserId)>>,
}

impl Own {
    pub(super) fn new(key: Option<String>) -> Self {
        Self {
            key,
            resolved: Mutex::default(),
        }
    }

    pub(super) fn is_key(&self, id: &str) -> bool {
        self.key.as_deref() == Some(id)
    }
}
