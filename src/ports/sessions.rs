//! Who is signed in to the console, on whichever worker.

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::failure::Failure;

/// A person who signed in. What the person may do is not in it: it is read from the people file at each request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Session {
    pub name: String,
    /// Which key it was: a session ends with it.
    pub key_mark: String,
    pub signed_in_at: Timestamp,
}

/// Sessions, each under the SHA-256 of its secret: who reads the store cannot use one.
#[async_trait]
pub(crate) trait Sessions: Send + Sync {
    /// Stores a session, which ends after `idle` without a request.
    async fn keep(&self, digest: &str, session: &Session, idle: Duration) -> Result<(), Failure>;

    /// The session, which then lasts `idle` from now on. One that cannot be read counts as absent.
    async fn find(&self, digest: &str, idle: Duration) -> Result<Option<Session>, Failure>;

    async fn end(&self, digest: &str) -> Result<(), Failure>;
}
