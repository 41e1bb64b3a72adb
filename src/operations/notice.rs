//! What keeps users waiting, or is unknown, as the state of the fleet names it.

use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

/// Something that keeps users waiting, or that is unknown
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Notice {
    /// What it is.
    pub kind: NoticeKind,
    /// The same, for people.
    pub text: String,
    /// The operator who paused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub who: Option<String>,
    /// The reason of the operator, the cause of a stop, or why something is unknown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// Since when.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub since: Option<Timestamp>,
    /// When it ends by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub until: Option<Timestamp>,
    /// How many workers are stopped, or how many users wait.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
}

/// The kinds of notices, the most important one first
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum NoticeKind {
    /// No worker sends heartbeats.
    NoWorker,
    /// An operator paused all workers, or a stored record is in doubt.
    Paused,
    /// Workers take no users, because of a fault or because they drain.
    WorkersStopped,
    /// As many deletions were sent as the limit allows.
    DeletionRateLimitReached,
    /// Users whom no order names wait, since as many came as the limit allows.
    RequestLimitReached,
    /// Deletions wait for a second person's approval.
    ApprovalsWait,
    /// Redis cannot be read, so nothing is known of the workers.
    WorkersUnknown,
    /// The archive store cannot be read, so nothing is known of a pause.
    PauseUnknown,
    /// RabbitMQ cannot be asked, so nothing is known of the queues.
    QueuesUnknown,
}

impl Notice {
    pub(super) fn new(kind: NoticeKind, text: impl Into<String>) -> Self {
        Self {
            kind,
            text: text.into(),
            who: None,
            why: None,
            since: None,
            until: None,
            count: None,
        }
    }

    pub(super) fn unknown(kind: NoticeKind, what: &str, why: &str) -> Self {
        Self {
            why: Some(why.to_owned()),
            ..Self::new(kind, format!("{what}: {why}"))
        }
    }
}
