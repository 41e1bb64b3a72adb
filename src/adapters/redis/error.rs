use redis::ErrorKind;

use crate::failure::{Class, Classify, Code};

/// What Redis can do to us. Everything but a newer checkpoint concerns every user alike.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RedisCheckpointsError {
    /// The URL cannot be used.
    #[error("OFFBOARDER_CHECKPOINTS_URL: {at} is no Redis URL: {why}")]
    BadUrl {
        at: String,
        /// What is wrong with it.
        why: String,
    },
    /// No connection, or none in time.
    #[error(
        "cannot reach Redis at {at} ({why}); check that it runs and OFFBOARDER_CHECKPOINTS_URL"
    )]
    Unreachable { at: String, why: String },
    /// A command or the login was refused.
    #[error("Redis at {at} refused a command ({why}); check user, password and memory settings")]
    Refused { at: String, why: String },
    /// Written by a later release.
    #[error(
        "the checkpoint of {user_id} has schema {schema}, newer than this release reads; upgrade this worker"
    )]
    Newer { user_id: String, schema: u64 },
}

impl RedisCheckpointsError {
    /// Sorts an error of the client library.
    pub(super) fn of(error: &redis::RedisError, at: &str) -> Self {
        let (at, why) = (at.to_owned(), error.to_string());
        match error.kind() {
            ErrorKind::AuthenticationFailed | ErrorKind::Server(_) | ErrorKind::Extension => {
                Self::Refused { at, why }
            }
            ErrorKind::InvalidClientConfig | ErrorKind::EmptySentinelList => {
                Self::BadUrl { at, why }
            }
            // The enum is open; what is not a refusal is a connection that did not work out.
            _ => Self::Unreachable { at, why },
        }
    }
}

impl Classify for RedisCheckpointsError {
    fn classify(&self) -> (Class, Code) {
        match self {
            Self::BadUrl { .. } | Self::Refused { .. } => {
                (Class::Systemic, Code::CheckpointsRefused)
            }
            Self::Unreachable { .. } => (Class::Systemic, Code::CheckpointsUnreachable),
            Self::Newer { .. } => (Class::Defect, Code::CheckpointUnreadable),
        }
    }
}
