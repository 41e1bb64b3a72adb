use lapin::ErrorKind;

use crate::failure::{Class, Classify, Code};

/// What the broker can do to us. Every user would meet each of these but the last.
#[derive(Debug, Clone, thiserror::Error)]
pub enum QueueError {
    /// No connection, or none in time.
    #[error("cannot reach RabbitMQ at {at} ({why}); {mend}")]
    Unreachable {
        /// The URL, password masked.
        at: String,
        /// The cause.
        why: String,
        /// What to do.
        mend: &'static str,
    },
    /// The broker said no.
    #[error(
        "RabbitMQ refused to {what}: {why}; check user, password, virtual host, permissions (OFFBOARDER_QUEUE_URL) and the queue's arguments"
    )]
    Refused {
        /// What was tried.
        what: String,
        /// Its answer.
        why: String,
    },
    /// The connection broke in the middle.
    #[error("the connection to RabbitMQ broke while trying to {what} ({why})")]
    Broken {
        /// What was tried.
        what: String,
        /// The cause.
        why: String,
    },
    /// The CA file of the settings.
    #[error("OFFBOARDER_QUEUE_CA_FILE: cannot read {path} ({why})")]
    CaFile {
        /// The file.
        path: String,
        /// The cause.
        why: String,
    },
    /// No queue took the message.
    #[error("no queue took the message for {exchange} with key {key}: run `offboarder topology` first")]
    Unroutable {
        /// Where it was published.
        exchange: String,
        /// With which key.
        key: String,
    },
    /// The queue would not store it.
    #[error(
        "RabbitMQ would not store the message for {exchange} with key {key}: a queue is full or without a majority"
    )]
    NotStored {
        /// Where it was published.
        exchange: String,
        /// With which key.
        key: String,
    },
}

impl QueueError {
    /// Sorts an error of the client library on an open connection.
    pub(crate) fn of(error: &lapin::Error, what: &str) -> Self {
        let (what, why) = (what.to_owned(), error.to_string());
        match error.kind() {
            ErrorKind::ProtocolError(_) => Self::Refused { what, why },
            _ => Self::Broken { what, why },
        }
    }

    /// Sorts an error of connecting.
    pub(super) fn connecting(error: &lapin::Error, at: &str) -> Self {
        let why = error.to_string();
        if let ErrorKind::ProtocolError(_) = error.kind() {
            return Self::Refused { what: format!("let us in at {at}"), why };
        }
        let lower = why.to_lowercase();
        if lower.contains("unknownissuer") || lower.contains("unknown issuer") {
            let why = "TLS: unknown issuer".to_owned();
            return Self::Unreachable { at: at.to_owned(), why, mend: "set OFFBOARDER_QUEUE_CA_FILE" };
        }
        Self::Unreachable { at: at.to_owned(), why, mend: "check that it runs, and OFFBOARDER_QUEUE_URL" }
    }
}

impl Classify for QueueError {
    fn classify(&self) -> (Class, Code) {
        match self {
            Self::Unreachable { .. } | Self::Broken { .. } => (Class::Systemic, Code::QueueUnreachable),
            Self::Refused { .. } => (Class::Systemic, Code::QueueRefused),
            Self::CaFile { .. } => (Class::Systemic, Code::SettingsUnreadable),
            Self::Unroutable { .. } | Self::NotStored { .. } => (Class::Systemic, Code::QueueUnroutable),
        }
    }
}
