//! What can go wrong with Redis. Every user would meet it, so each variant is systemic.

use redis::ErrorKind;

use super::plain_port::NO_TLS;
use crate::adapters::tls;
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
    /// TLS was asked for at a port that does not speak it, or nobody trusted signed the certificate.
    #[error("cannot reach Redis at {at}: {why}; {fix}")]
    Tls {
        at: String,
        why: &'static str,
        fix: &'static str,
    },
    /// A command or the login was refused.
    #[error("Redis at {at} refused a command ({why}); check user, password and memory settings")]
    Refused { at: String, why: String },
}

impl RedisStoreError {
    /// Classifies an error of the client library.
    pub(super) fn of(error: &redis::RedisError, at: &str) -> Self {
        let at = at.to_owned();
        let why = error.to_string();
        let cause = if why.contains(NO_TLS) {
            Some(NO_TLS)
        } else {
            tls::cause(&why)
        };
        if let Some(cause) = cause {
            let fix = if tls::is_untrusted(&why) {
                "name the file of its CA in SSL_CERT_FILE"
            } else {
                "set scheme, host and port of OFFBOARDER_CHECKPOINTS_URL: rediss:// with the TLS port, redis:// with the plain one"
            };
            return Self::Tls {
                at,
                why: cause,
                fix,
            };
        }

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
            Self::Unreachable { .. } | Self::Tls { .. } => {
                (Class::Systemic, Code::CheckpointsUnreachable)
            }
        }
    }
}
