use crate::failure::{Class, Classify, Code};

/// What can go wrong with the broker. Every user would meet each of these, except for [`Self::MessageRefused`].
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum QueueError {
    /// No connection, or none in time.
    #[error("cannot reach RabbitMQ at {at} ({why}); {fix}")]
    Unreachable {
        at: String,
        why: String,
        fix: &'static str,
    },
    #[error(
        "RabbitMQ refused to {what}: {why}; check user, password, virtual host, permissions (OFFBOARDER_QUEUE_URL) and the queue's arguments"
    )]
    Refused { what: String, why: String },
    /// The connection broke in the middle.
    #[error("the connection to RabbitMQ broke while trying to {what} ({why})")]
    Broken { what: String, why: String },
    /// A file of certificates or of a key cannot be used; it names the setting.
    #[error("{0}")]
    TlsFile(String),
    #[error(
        "no queue took the message for {exchange} with key {key}: run `offboarder topology` first"
    )]
    Unroutable { exchange: String, key: String },
    /// The broker does not say whether it has the message.
    #[error(
        "RabbitMQ confirms nothing: no answer within {seconds} s to the message for {exchange} with key {key}, and no alarm blocks it. Look for queues without a majority (`rabbitmq-queues check_if_node_is_quorum_critical`). Publishing it again is safe"
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
    #[error(
        "RabbitMQ would not store the message for {exchange} with key {key}: a queue is full or without a majority"
    )]
    NotStored { exchange: String, key: String },
}

impl Classify for QueueError {
    fn classify(&self) -> (Class, Code) {
        match self {
            Self::Unreachable { .. } | Self::Broken { .. } => {
                (Class::Systemic, Code::QueueUnreachable)
            }
            // `MessageRefused` gets here only when the broker refuses the message in every form: it takes none.
            Self::Refused { .. } | Self::MessageRefused { .. } => {
                (Class::Systemic, Code::QueueRefused)
            }
            Self::TlsFile(_) => (Class::Systemic, Code::SettingsUnreadable),
            Self::Unroutable { .. } | Self::NotStored { .. } | Self::Unconfirmed { .. } => {
                (Class::Systemic, Code::QueueUnroutable)
            }
        }
    }
}
