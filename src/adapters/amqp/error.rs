use lapin::ErrorKind;

use crate::failure::{Class, Classify, Code};

/// What RabbitMQ answers to a message that it does not take.
const CONTENT_TOO_LARGE: u16 = 311;
const NO_EXCHANGE: u16 = 404;
const PRECONDITION_FAILED: u16 = 406;
const FRAME_ERROR: u16 = 501;

/// What the broker can do to us. Every user would meet each of these but [`Self::MessageRefused`].
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum QueueError {
    /// No connection, or none in time.
    #[error("cannot reach RabbitMQ at {at} ({why}); {mend}")]
    Unreachable {
        at: String,
        why: String,
        mend: &'static str,
    },
    #[error(
        "RabbitMQ refused to {what}: {why}; check user, password, virtual host, permissions (OFFBOARDER_QUEUE_URL) and the queue's arguments"
    )]
    Refused { what: String, why: String },
    /// The connection broke in the middle.
    #[error("the connection to RabbitMQ broke while trying to {what} ({why})")]
    Broken { what: String, why: String },
    /// The CA file of the settings.
    #[error("OFFBOARDER_QUEUE_CA_FILE: cannot read {path} ({why})")]
    CaFile { path: String, why: String },
    /// No queue took the message.
    #[error(
        "no queue took the message for {exchange} with key {key}: run `offboarder topology` first"
    )]
    Unroutable { exchange: String, key: String },
    /// The broker does not say whether it has the message.
    #[error(
        "RabbitMQ did not confirm the message for {exchange} with key {key} within {seconds} s, and no alarm blocks it: look for queues without a majority (`rabbitmq-queues check_if_node_is_quorum_critical`); it is published again"
    )]
    Unconfirmed {
        exchange: String,
        key: String,
        seconds: u64,
    },
    /// The broker does not take this message; it would take another one.
    #[error("RabbitMQ refused the message for {exchange} with key {key}: {why}")]
    MessageRefused {
        exchange: String,
        key: String,
        why: String,
    },
    /// The queue would not store it.
    #[error(
        "RabbitMQ would not store the message for {exchange} with key {key}: a queue is full or without a majority"
    )]
    NotStored { exchange: String, key: String },
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

    /// Sorts an error of publishing a message.
    pub(super) fn publishing(error: &lapin::Error, exchange: &str, key: &str) -> Self {
        let (exchange, key) = (exchange.to_owned(), key.to_owned());
        match error.kind() {
            ErrorKind::ProtocolError(answer) => match answer.get_id() {
                NO_EXCHANGE => Self::Unroutable { exchange, key },
                CONTENT_TOO_LARGE | PRECONDITION_FAILED | FRAME_ERROR => Self::MessageRefused {
                    exchange,
                    key,
                    why: answer.get_message().to_string(),
                },
                _ => Self::of(error, "publish"),
            },
            _ => Self::of(error, "publish"),
        }
    }

    /// Whether the broker minds the login in `user_id`: it knows us under another name.
    pub(super) fn minds_login(&self) -> bool {
        matches!(self, Self::MessageRefused { why, .. } if why.contains("user_id"))
    }

    /// Sorts an error of connecting.
    pub(super) fn connecting(error: &lapin::Error, at: &str) -> Self {
        let why = error.to_string();
        if let ErrorKind::ProtocolError(_) = error.kind() {
            return Self::Refused {
                what: format!("let us in at {at}"),
                why,
            };
        }
        let lower = why.to_lowercase();
        if lower.contains("unknownissuer") || lower.contains("unknown issuer") {
            let why = "TLS: unknown issuer".to_owned();
            return Self::Unreachable {
                at: at.to_owned(),
                why,
                mend: "set OFFBOARDER_QUEUE_CA_FILE",
            };
        }
        Self::Unreachable {
            at: at.to_owned(),
            why,
            mend: "check that it runs, and OFFBOARDER_QUEUE_URL",
        }
    }
}

impl Classify for QueueError {
    fn classify(&self) -> (Class, Code) {
        match self {
            Self::Unreachable { .. } | Self::Broken { .. } => {
                (Class::Systemic, Code::QueueUnreachable)
            }
            // The second, where it is not dealt with: the broker takes no message at all.
            Self::Refused { .. } | Self::MessageRefused { .. } => {
                (Class::Systemic, Code::QueueRefused)
            }
            Self::CaFile { .. } => (Class::Systemic, Code::SettingsUnreadable),
            Self::Unroutable { .. } | Self::NotStored { .. } | Self::Unconfirmed { .. } => {
                (Class::Systemic, Code::QueueUnroutable)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use lapin::protocol::{AMQPError, AMQPErrorKind, AMQPHardError, AMQPSoftError};

    use super::*;

    #[test]
    fn a_refusal_of_one_message_is_told_from_those_that_every_message_meets() {
        let refused = |kind: AMQPErrorKind| {
            let error =
                lapin::Error::from(ErrorKind::ProtocolError(AMQPError::new(kind, "why".into())));
            QueueError::publishing(&error, "e", "k")
        };
        let of_one: [AMQPErrorKind; 3] = [
            AMQPSoftError::PRECONDITIONFAILED.into(),
            AMQPSoftError::CONTENTTOOLARGE.into(),
            AMQPHardError::FRAMEERROR.into(),
        ];
        for kind in of_one {
            assert!(matches!(refused(kind), QueueError::MessageRefused { .. }));
        }
        assert!(matches!(
            refused(AMQPSoftError::NOTFOUND.into()),
            QueueError::Unroutable { .. }
        ));
        assert!(matches!(
            refused(AMQPSoftError::ACCESSREFUSED.into()),
            QueueError::Refused { .. }
        ));
    }
}
