//! What can go wrong: class, code, and what follows. Pure.
//!
//! Every adapter has one error enum; [`Classify`] maps each of its variants, without a catch-all,
//! to a [`Class`] and a [`Code`]. Everything above the adapters sees only a [`Failure`].

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Why a message became a dead letter. The words are the contract's `x-offboarder-reason`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The body is neither JSON of the schema nor a UUID.
    MalformedMessage,
    /// Never seen by us, and the API does not know the user.
    UserNotFound,
    /// A guard forbids it.
    ProtectedUser,
    /// The API refused a step for this user, for good.
    ApiRejected,
    /// This user alone kept failing.
    RetriesExhausted,
    /// An archive or manifest is already stored that contradicts this run.
    ArchiveConflict,
    /// Workers died on it again and again.
    Poison,
}

impl Reason {
    /// The word that headers, metrics and commands use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::MalformedMessage => "malformed_message",
            Self::UserNotFound => "user_not_found",
            Self::ProtectedUser => "protected_user",
            Self::ApiRejected => "api_rejected",
            Self::RetriesExhausted => "retries_exhausted",
            Self::ArchiveConflict => "archive_conflict",
            Self::Poison => "poison",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What kind of fault it is, and so what follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// May pass by itself: wait with backoff; an attempt is spent.
    Transient,
    /// The server asked us to slow down: wait for what it says; no attempt is spent.
    Throttled,
    /// A write was sent and its answer was lost: the step begins again by reading; an attempt is
    /// spent.
    UnknownOutcome,
    /// A refusal of this user: a dead letter with this reason.
    Permanent(Reason),
    /// Every user would meet it: the work stops, nobody's attempt is spent.
    Systemic,
    /// A fault of ours: a dead letter and an error in the log.
    Defect,
}

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident => $word:literal,)*) => {
        /// A stable short word for a fault; metric label, header, console text and runbook heading.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum Code { $($(#[$doc])* #[serde(rename = $word)] $variant,)* }

        impl Code {
            /// Every code, in the order of the runbook.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The word itself.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }
        }
    };
}

codes! {
    /// No connection, or it broke.
    CxoneUnreachable => "cxone_unreachable",
    /// No answer in time.
    CxoneTimeout => "cxone_timeout",
    /// 408 or 5xx.
    CxoneServerError => "cxone_server_error",
    /// 429.
    CxoneThrottled => "cxone_throttled",
    /// The OAuth client was refused, or a fresh token was.
    CxoneUnauthorized => "cxone_unauthorized",
    /// The OAuth client lacks a scope.
    CxoneMissingScope => "cxone_missing_scope",
    /// Any other refusal of a call for this user.
    CxoneRejected => "cxone_rejected",
    /// A redirect; none is followed.
    CxoneRedirected => "cxone_redirected",
    /// An answer that is not what the API promises.
    CxoneUnreadable => "cxone_unreadable",
    /// An answer over the size that we accept.
    CxoneTooLarge => "cxone_too_large",
    /// A next-page link to another origin, or a cursor that was seen before.
    CxoneBadNextPage => "cxone_bad_next_page",
    /// The cursor of a query is unknown or expired.
    CxoneCursorLost => "cxone_cursor_lost",
    /// The object changed under every try to write it.
    CxoneVersionConflict => "cxone_version_conflict",
    /// A write was accepted, and reads do not show it.
    CxoneNotConverged => "cxone_not_converged",
    /// The API does not know the user, and neither do we.
    UserNotFound => "user_not_found",
    /// A guard names the user.
    ProtectedUser => "protected_user",
    /// The archive store cannot be reached, or answers 5xx.
    ArchiveUnreachable => "archive_unreachable",
    /// The archive store refuses the credentials or the right.
    ArchiveDenied => "archive_denied",
    /// The bucket or directory is not there.
    ArchiveMissing => "archive_missing",
    /// The archive store asked us to slow down.
    ArchiveThrottled => "archive_throttled",
    /// No space is left in the archive store.
    ArchiveFull => "archive_full",
    /// The store refused the request.
    ArchiveRejected => "archive_rejected",
    /// The upload is gone from the store.
    ArchiveUploadLost => "archive_upload_lost",
    /// Another object stands where ours belongs, or ours changed.
    ArchiveConflict => "archive_conflict",
    /// The store ignores `If-None-Match`.
    ArchiveOverwrites => "archive_overwrites",
    /// The checkpoint store cannot be reached.
    CheckpointsUnreachable => "checkpoints_unreachable",
    /// The checkpoint store refused a command.
    CheckpointsRefused => "checkpoints_refused",
    /// A checkpoint that this release cannot read.
    CheckpointUnreadable => "checkpoint_unreadable",
    /// The broker cannot be reached.
    QueueUnreachable => "queue_unreachable",
    /// The broker refused the login, the vhost or an operation.
    QueueRefused => "queue_refused",
    /// A message that no queue took.
    QueueUnroutable => "queue_unroutable",
    /// A file of settings or guards cannot be read.
    SettingsUnreadable => "settings_unreadable",
    /// The machine was asked for a step that its table does not have.
    IllegalTransition => "illegal_transition",
    /// A step panicked.
    Panicked => "panicked",
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A fault, as everything above the adapters sees it. The text names what failed and what to do,
/// and holds no secret and no response body.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Failure {
    /// What follows.
    pub class: Class,
    /// The stable word.
    pub code: Code,
    /// For people.
    pub text: String,
    /// What the server asked for, already clamped.
    #[serde(skip)]
    pub retry_after: Option<Duration>,
}

impl Failure {
    /// A failure without a server's wish for when to come back.
    pub fn new(class: Class, code: Code, text: impl Into<String>) -> Self {
        Self { class, code, text: text.into(), retry_after: None }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} [{}]", self.text, self.code)
    }
}

impl std::error::Error for Failure {}

/// One line per variant of an adapter's error enum, and no catch-all.
pub trait Classify: fmt::Display {
    /// The class and the code of this fault.
    fn classify(&self) -> (Class, Code);

    /// What the server asked for, clamped.
    fn retry_after(&self) -> Option<Duration> {
        None
    }
}

impl<E: Classify> From<E> for Failure {
    fn from(error: E) -> Self {
        let (class, code) = error.classify();
        Self { class, code, text: error.to_string(), retry_after: error.retry_after() }
    }
}
