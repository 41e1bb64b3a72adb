//! What can go wrong with Redis. Every user would meet it, so each variant is systemic.

use redis::ErrorKind;

use crate::failure::{Class, Classify, Code};

#[derive(Debug, thiserror::Error)]
pub(super) enum RedisStoreError {
    #[error("OFFBOARDER_CHECKPOINTS_URL: {at} is not a Redis URL: {why}")]
    BadUrl { at: String, why: String },
    /// No connection, or no answer in time.
    #[error(
        "cannot reach Redis at {at} ({why}); check that it runs and OFFBOARDER_CHECKPOINTS_URL"
    )]
    Unreachable { at: String, why: String },
    /// A command or the login was refused.
    #[error("Redis at {at} refused a command ({why}); check user, password and memory settings")]
    Refused { at: String, why: String },
}

impl RedisStoreError {
    /// Classifies an error of the client library.
    pub(super) fn of(error: &redis::RedisError, at: &str) -> Self {
        let at = at.to_owned();
        let why = error.to_string();

        match error.kind() {
            ErrorKind::AuthenticationFailed | ErrorKind::Server(_) | ErrorKind::Extension => {
                Self::Refused { at, why }
            }
            ErrorKind::InvalidClientConfig | ErrorKind::EmptySentinelList => {
                Self::BadUrl { at, why }
            }
            // The library may add kinds; what is not a refusal is a connection that failed.
            _ => Self::Unreachable { at, why },
        }
    }
}

impl Classify for RedisStoreError {
    fn classify(&self) -> (Class, Code) {
        match self {
            Self::BadUrl { .. } | Self::Refused { .. } => {
                (Class::Systemic, Code::CheckpointsRefused)
            }
            Self::Unreachable { .. } => (Class::Systemic, Code::CheckpointsUnreachable),
        }
    }
}
