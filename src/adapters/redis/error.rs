//! What can go wrong with Redis. Every user would meet it, so each variant is systemic.

use redis::{ErrorKind, ServerErrorKind};

use super::certificates::UNUSABLE;
use super::plain_port::{NO_TLS, ONLY_TLS};
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
    /// TLS was asked for at a port that does not speak it, or the reverse, or one side does not trust the other.
    #[error("cannot reach Redis at {at}: {why}; {fix}")]
    Tls {
        at: String,
        why: &'static str,
        fix: &'static str,
    },
    /// A file that a setting beside the URL names.
    #[error("cannot reach Redis at {at}: {why}")]
    File { at: String, why: String },
    /// `redis://` names a node of a cluster.
    #[error(
        "Redis at {at} is a node of a cluster; write redis+cluster:// in OFFBOARDER_CHECKPOINTS_URL, or rediss+cluster:// with TLS"
    )]
    Cluster { at: String },
    /// A command or the login was refused.
    #[error("Redis at {at} refused a command ({why}); check user, password and memory settings")]
    Refused { at: String, why: String },
}

impl RedisStoreError {
    /// Classifies an error of the client library.
    pub(super) fn of(error: &redis::RedisError, at: &str) -> Self {
        let at = at.to_owned();
        let why = error.to_string();
        if why.contains(UNUSABLE) {
            let why = error.detail().unwrap_or(UNUSABLE).to_owned();
            return Self::File { at, why };
        }
        if let Some((why, fix)) = of_tls(&why) {
            return Self::Tls { at, why, fix };
        }
        // A cluster itself says so while slots move.
        if is_of_cluster(error, &why) && !at.contains("+cluster://") {
            return Self::Cluster { at };
        }

        // It was cut off, or has just replaced another one.
        if has_no_replicas(error) {
            let why = "it takes no writes without replicas (min-replicas-to-write)".to_owned();
            return Self::Unreachable { at, why };
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

/// What is wrong with TLS, and what to do.
fn of_tls(why: &str) -> Option<(&'static str, &'static str)> {
    const PORT: &str = "set scheme, host and port of OFFBOARDER_CHECKPOINTS_URL: rediss:// (rediss+sentinel://, \
                        rediss+cluster://) with the TLS port, redis:// with the plain one";
    const CLIENT: &str = "set OFFBOARDER_CHECKPOINTS_CLIENT_CERT_FILE and OFFBOARDER_CHECKPOINTS_CLIENT_KEY_FILE to a \
                          certificate that its CA signed";

    if why.contains(NO_TLS) {
        return Some((NO_TLS, PORT));
    }
    if why.contains(ONLY_TLS) {
        return Some((ONLY_TLS, PORT));
    }

    let cause = tls::cause(why)?;
    let fix = if tls::wants_a_client_certificate(why) || tls::refuses_our_certificate(why) {
        CLIENT
    } else if tls::is_untrusted(why) {
        "name the file of its CA in OFFBOARDER_CHECKPOINTS_CA_FILE"
    } else {
        PORT
    };
    Some((cause, fix))
}

/// `min-replicas-to-write` is set, and the server has too few: cut off, or just promoted.
pub(super) fn has_no_replicas(error: &redis::RedisError) -> bool {
    error.code() == Some("NOREPLICAS")
}

/// The URL's scheme is for a server that has all keys.
fn is_of_cluster(error: &redis::RedisError, why: &str) -> bool {
    error.kind() == ErrorKind::Server(ServerErrorKind::Moved)
        || why.contains("not allowed in cluster mode")
}

impl Classify for RedisStoreError {
    fn classify(&self) -> (Class, Code) {
        match self {
            Self::BadUrl { .. }
            | Self::Refused { .. }
            | Self::File { .. }
            | Self::Cluster { .. } => (Class::Systemic, Code::CheckpointsRefused),
            Self::Unreachable { .. } | Self::Tls { .. } => {
                (Class::Systemic, Code::CheckpointsUnreachable)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use redis::RedisError;

    use super::*;

    #[test]
    fn what_an_administrator_can_correct_is_said_in_words() {
        let moved = ErrorKind::Server(ServerErrorKind::Moved);
        let io = ErrorKind::Io;
        for (kind, text, says) in [
            (moved, "15773 127.0.0.1:7001", "redis+cluster://"),
            (
                ErrorKind::Server(ServerErrorKind::ResponseError),
                "SELECT is not allowed in cluster mode",
                "redis+cluster://",
            ),
            (
                io,
                "received fatal alert: CertificateRequired",
                "CLIENT_CERT_FILE",
            ),
            (
                io,
                "received fatal alert: UnknownCA",
                "does not accept the certificate",
            ),
            (
                io,
                "invalid peer certificate: UnknownIssuer",
                "OFFBOARDER_CHECKPOINTS_CA_FILE",
            ),
            (io, "Connection refused", "check that it runs"),
        ] {
            let error = RedisError::from((kind, "failed", text.to_owned()));
            let shown = RedisStoreError::of(&error, "redis://h").to_string();
            assert!(shown.contains(says), "{shown}");
        }

        let cut_off = redis::make_extension_error("NOREPLICAS".to_owned(), None);
        let cut_off = RedisStoreError::of(&cut_off, "redis://h");
        assert_eq!(cut_off.classify().1, Code::CheckpointsUnreachable);
        assert!(cut_off.to_string().contains("min-replicas-to-write"));

        let moving = RedisError::from((moved, "failed", "15773 127.0.0.1:7001".to_owned()));
        let shown = RedisStoreError::of(&moving, "redis+cluster://h").to_string();
        assert!(!shown.contains("write redis+cluster://"), "{shown}");
    }
}
