//! What can go wrong: the class of a failure decides what follows, and its code names it.
//!
//! Every adapter has one error enum; [`Classify`] maps each of its variants, without a catch-all,
//! to a [`Class`] and a [`Code`]. Everything above the adapters sees only a [`Failure`].

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

/// An enum whose variants have words that other programs depend on.
macro_rules! words {
    ($(#[$meta:meta])* pub enum $name:ident; $($(#[$doc:meta])* $variant:ident => $word:literal,)*) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub(crate) enum $name { $($(#[$doc])* #[serde(rename = $word)] $variant,)* }

        impl $name {
            /// All of them, in the order of the runbook.
            pub(crate) const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The word in headers, metrics, commands and the runbook.
            pub(crate) const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }
        }

        // The derive does not know these words.
        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                ObjectBuilder::new().schema_type(Type::String).enum_values(Some([$($word),*])).into()
            }
        }

        impl ToSchema for $name {}

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

words! {
    /// Why a message became a dead letter: the words of the header `x-offboarder-reason`.
    pub enum Reason;

    /// The body is neither JSON of the schema nor a UUID.
    MalformedMessage => "malformed_message",
    /// The API does not know the user, and offboarder has never seen it.
    UserNotFound => "user_not_found",
    /// A guard forbids to touch the user.
    ProtectedUser => "protected_user",
    /// The API refused a step for this user permanently.
    ApiRejected => "api_rejected",
    /// Only this user kept failing.
    RetriesExhausted => "retries_exhausted",
    /// An archive or manifest is already stored that contradicts this run.
    ArchiveConflict => "archive_conflict",
    /// Workers repeatedly died on it, or a defect of offboarder stopped it.
    Poison => "poison",
}

/// What kind of failure it is. This decides what follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Class {
    /// May pass by itself: retry with backoff; an attempt is spent.
    Transient,
    /// The server asked for fewer calls: wait as long as it says; no attempt is spent.
    Throttled,
    /// A write was sent and its answer was lost: the step starts again with a read; an attempt is
    /// spent.
    UnknownOutcome,
    /// This user was refused: the message becomes a dead letter with this reason.
    Permanent(Reason),
    /// Every user would fail with it: the worker stops taking users; no attempt is spent.
    Systemic,
    /// A defect of offboarder: a dead letter and an error in the log.
    Defect,
}

words! {
    /// A short word that names a failure: in metrics, headers, texts and as a heading of the
    /// runbook.
    pub enum Code;

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
    /// The credentials lack a scope or a permission.
    CxoneMissingScope => "cxone_missing_scope",
    /// Any other refusal of a call for this user.
    CxoneRejected => "cxone_rejected",
    /// A 403, 404 or 410 that is not in the form of the API: a firewall, a proxy or another server
    /// answered.
    CxoneForeignAnswer => "cxone_foreign_answer",
    /// One part of the API knows the user, and another does not.
    CxoneContradiction => "cxone_contradiction",
    /// A redirect. offboarder follows none.
    CxoneRedirected => "cxone_redirected",
    /// An answer that is not what the API promises.
    CxoneUnreadable => "cxone_unreadable",
    /// An answer larger than offboarder accepts.
    CxoneTooLarge => "cxone_too_large",
    /// A next-page link to another origin, or a cursor that was seen before.
    CxoneBadNextPage => "cxone_bad_next_page",
    /// The cursor of a query is unknown or expired.
    CxoneCursorLost => "cxone_cursor_lost",
    /// The object changed during every attempt to write it.
    CxoneVersionConflict => "cxone_version_conflict",
    /// A write was accepted, but reads do not show it.
    CxoneNotConverged => "cxone_not_converged",
    /// The off-boarding of the user began at the API of another profile.
    CxoneOtherProfile => "cxone_other_profile",
    /// The API does not know the user, and offboarder has never seen it.
    UserNotFound => "user_not_found",
    /// A guard names the user.
    ProtectedUser => "protected_user",
    /// The message claims an order of `submit` that does not name the user, is not stored, or was changed.
    NotInOrder => "not_in_order",
    /// The archive store cannot be reached, or answers 5xx.
    ArchiveUnreachable => "archive_unreachable",
    /// The archive store refuses the credentials, or they lack a permission.
    ArchiveDenied => "archive_denied",
    /// The bucket or directory does not exist.
    ArchiveMissing => "archive_missing",
    /// The archive store asked for fewer requests.
    ArchiveThrottled => "archive_throttled",
    /// No space is left in the archive store.
    ArchiveFull => "archive_full",
    /// The store refused the request.
    ArchiveRejected => "archive_rejected",
    /// The upload no longer exists in the store.
    ArchiveUploadLost => "archive_upload_lost",
    /// Another object has the key of ours, or ours changed.
    ArchiveConflict => "archive_conflict",
    /// The store ignores `If-None-Match`.
    ArchiveOverwrites => "archive_overwrites",
    /// The store lacks something else that offboarder relies on.
    ArchiveUnfit => "archive_unfit",
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
    /// A message that reached no queue.
    QueueUnroutable => "queue_unroutable",
    /// AWS KMS, which has the key of the evidence log, cannot be reached.
    EvidenceKeyUnreachable => "evidence_key_unreachable",
    /// The key of the evidence log in AWS KMS cannot be used.
    EvidenceKeyUnusable => "evidence_key_unusable",
    /// A file of settings or guards cannot be read.
    SettingsUnreadable => "settings_unreadable",
    /// The state machine was asked for a step that its table does not have.
    IllegalTransition => "illegal_transition",
    /// A release fails for one user after the other: a lane takes no users.
    Surge => "surge",
    /// A step panicked.
    Panicked => "panicked",
    /// offboarder could not do something that should never fail, e.g. write one of its records as
    /// JSON.
    Internal => "internal",
}

/// A failure. The text says what failed and what to do. It holds no secret and no response body.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
pub(crate) struct Failure {
    /// Kind of failure.
    pub class: Class,
    /// Word that names the failure; the runbook has a section for each.
    pub code: Code,
    /// What failed, and what to do.
    pub text: String,
    /// The pause that the server asked for, limited to a sensible range.
    #[serde(skip)]
    pub retry_after: Option<Duration>,
    /// Whether the credentials may lack a right for it, and the answer does not say so.
    #[serde(skip)]
    pub may_lack_right: bool,
    /// Of a fault that several users met: what it is for each of them.
    #[serde(skip)]
    pub of_one: Option<Box<Self>>,
}

impl Failure {
    /// A failure without a pause that a server asked for.
    pub(crate) fn new(class: Class, code: Code, text: impl Into<String>) -> Self {
        Self {
            class,
            code,
            text: text.into(),
            retry_after: None,
            may_lack_right: false,
            of_one: None,
        }
    }

    /// A defect of offboarder: something failed that should never fail.
    pub(crate) fn internal(what: &str, why: impl fmt::Display) -> Self {
        let text = format!("{what}: {why}; this is a defect of offboarder, report it");
        Self::new(Class::Defect, Code::Internal, text)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} [{}]", self.text, self.code)
    }
}

impl std::error::Error for Failure {}

/// Gives each variant of an adapter's error enum its class and code; no catch-all.
pub(crate) trait Classify: fmt::Display {
    fn classify(&self) -> (Class, Code);

    fn code(&self) -> Code {
        self.classify().1
    }

    /// The pause that the server asked for, limited to a sensible range.
    fn retry_after(&self) -> Option<Duration> {
        None
    }

    /// Whether the credentials may lack a right for it, and the answer does not say so.
    fn may_lack_right(&self) -> bool {
        false
    }

    /// Of a fault that several users met: what it is for each of them.
    fn of_one(&self) -> Option<Failure> {
        None
    }

    fn failure(&self) -> Failure {
        let (class, code) = self.classify();
        Failure {
            class,
            code,
            text: self.to_string(),
            retry_after: self.retry_after(),
            may_lack_right: self.may_lack_right(),
            of_one: self.of_one().map(Box::new),
        }
    }
}

impl<E: Classify> From<E> for Failure {
    fn from(error: E) -> Self {
        error.failure()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_of_ours_is_a_defect_that_says_so() {
        let failure = Failure::internal("cannot write a manifest", "key must be a string");
        assert_eq!(
            (failure.class, failure.code),
            (Class::Defect, Code::Internal)
        );
        assert_eq!(
            failure.to_string(),
            "cannot write a manifest: key must be a string; this is a defect of offboarder, \
             report it [internal]"
        );
    }

    #[test]
    fn a_word_is_the_same_in_documents_and_in_texts() {
        for code in Code::ALL {
            let written = serde_json::to_value(code).unwrap();
            assert_eq!(written, code.as_str());
            assert_eq!(serde_json::from_value::<Code>(written).unwrap(), *code);
        }
        for reason in Reason::ALL {
            assert_eq!(serde_json::to_value(reason).unwrap(), reason.as_str());
        }
    }
}
