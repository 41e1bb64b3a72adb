//! What can go wrong: class, code, and what follows. Pure.
//!
//! Every adapter has one error enum; [`Classify`] maps each of its variants, without a catch-all,
//! to a [`Class`] and a [`Code`]. Everything above the adapters sees only a [`Failure`].

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

/// An enum whose variants are stable words of the outside.
macro_rules! words {
    ($(#[$meta:meta])* pub enum $name:ident; $($(#[$doc:meta])* $variant:ident => $word:literal,)*) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub(crate) enum $name { $($(#[$doc])* #[serde(rename = $word)] $variant,)* }

        impl $name {
            /// Every one, in the order of the runbook.
            pub(crate) const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The word itself, in headers, metrics, commands and the runbook.
            pub(crate) const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }
        }

        // The derive would not see the words.
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
    /// Why a message became a dead letter. The words are the contract's `x-offboarder-reason`.
    pub enum Reason;

    /// The body is neither JSON of the schema nor a UUID.
    MalformedMessage => "malformed_message",
    /// Never seen by us, and the API does not know the user.
    UserNotFound => "user_not_found",
    /// A guard forbids it.
    ProtectedUser => "protected_user",
    /// The API refused a step for this user, for good.
    ApiRejected => "api_rejected",
    /// This user alone kept failing.
    RetriesExhausted => "retries_exhausted",
    /// An archive or manifest is already stored that contradicts this run.
    ArchiveConflict => "archive_conflict",
    /// Workers died on it again and again.
    Poison => "poison",
}

/// What kind of fault it is, and so what follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Class {
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

words! {
    /// A stable short word for a fault; metric label, header, console text and runbook heading.
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
    /// The OAuth client lacks a scope.
    CxoneMissingScope => "cxone_missing_scope",
    /// Any other refusal of a call for this user.
    CxoneRejected => "cxone_rejected",
    /// A 403, 404 or 410 that is not in the API's form: a firewall, a proxy, or another server answers.
    CxoneForeignAnswer => "cxone_foreign_answer",
    /// One part of the API knows the user, and another does not.
    CxoneContradiction => "cxone_contradiction",
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
    /// The store does not do something else that we rely on.
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
    /// A message that no queue took.
    QueueUnroutable => "queue_unroutable",
    /// A file of settings or guards cannot be read.
    SettingsUnreadable => "settings_unreadable",
    /// The machine was asked for a step that its table does not have.
    IllegalTransition => "illegal_transition",
    /// A step panicked.
    Panicked => "panicked",
    /// We could not do something that never fails, e.g. write one of our own records as JSON.
    Internal => "internal",
}

/// A fault, as everything above the adapters sees it. The text names what failed and what to do,
/// and holds no secret and no response body.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
pub(crate) struct Failure {
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
    pub(crate) fn new(class: Class, code: Code, text: impl Into<String>) -> Self {
        Self {
            class,
            code,
            text: text.into(),
            retry_after: None,
        }
    }

    /// A fault of ours that should not be possible.
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

/// One line per variant of an adapter's error enum, and no catch-all.
pub(crate) trait Classify: fmt::Display {
    /// The class and the code of this fault.
    fn classify(&self) -> (Class, Code);

    /// The code alone.
    fn code(&self) -> Code {
        self.classify().1
    }

    /// What the server asked for, clamped.
    fn retry_after(&self) -> Option<Duration> {
        None
    }
}

impl<E: Classify> From<E> for Failure {
    fn from(error: E) -> Self {
        let (class, code) = error.classify();
        Self {
            class,
            code,
            text: error.to_string(),
            retry_after: error.retry_after(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARTS: [&str; 3] = ["**Means**", "**By itself**", "**You do**"];

    /// A section of the runbook: its chapter, its heading, and what stands under it.
    struct Section<'a> {
        chapter: &'a str,
        heading: &'a str,
        text: &'a str,
    }

    fn sections(runbook: &str) -> Vec<Section<'_>> {
        let mut sections = Vec::new();
        for chapter in runbook.split("\n## ").skip(1) {
            let mut pieces = chapter.split("\n### ");
            let chapter = pieces
                .next()
                .and_then(|head| head.lines().next())
                .unwrap_or_default();
            sections.extend(pieces.map(|piece| {
                let (heading, text) = piece.split_once('\n').unwrap_or((piece, ""));
                Section {
                    chapter,
                    heading,
                    text,
                }
            }));
        }
        sections
    }

    /// What is wrong with a runbook.
    fn faults(runbook: &str) -> Vec<String> {
        let chapters = [
            (
                "Codes",
                Code::ALL
                    .iter()
                    .map(|code| format!("`{code}`"))
                    .collect::<Vec<_>>(),
            ),
            (
                "Dead letters by reason",
                Reason::ALL
                    .iter()
                    .map(|reason| format!("`{reason}`"))
                    .collect(),
            ),
        ];
        let sections = sections(runbook);
        let mut faults = Vec::new();
        for (chapter, words) in &chapters {
            let of_chapter = sections
                .iter()
                .filter(|section| section.chapter == *chapter);
            let headings: Vec<&str> = of_chapter.map(|section| section.heading).collect();
            let missing: Vec<_> = words
                .iter()
                .filter(|word| !headings.contains(&word.as_str()))
                .collect();
            faults.extend(
                missing
                    .iter()
                    .map(|word| format!("{word} has no section in {chapter}")),
            );
            if missing.is_empty() && headings.len() == words.len() && headings != *words {
                faults.push(format!("{chapter} is not in the order of the code"));
            }
        }
        for (
            index,
            Section {
                chapter,
                heading,
                text,
            },
        ) in sections.iter().enumerate()
        {
            let words = chapters
                .iter()
                .find(|(name, _)| name == chapter)
                .map(|(_, words)| words);
            if !words.is_some_and(|words| words.iter().any(|word| word == heading)) {
                faults.push(format!("{heading} in {chapter} stands for nothing"));
            }
            let mut before = sections.iter().take(index);
            if before.any(|other| other.chapter == *chapter && other.heading == *heading) {
                faults.push(format!("{heading} in {chapter} stands there twice"));
            }
            let lacking = PARTS
                .iter()
                .filter(|part| !text.lines().any(|line| line.starts_with(**part)));
            faults.extend(lacking.map(|part| format!("{heading} in {chapter} lacks {part}")));
        }
        faults
    }

    fn runbook() -> String {
        std::fs::read_to_string(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/docs/operations/runbook.md"
        ))
        .unwrap()
    }

    #[test]
    fn the_runbook_has_a_whole_section_for_every_code_and_reason_and_no_other() {
        let faults = faults(&runbook());
        assert!(
            faults.is_empty(),
            "docs/operations/runbook.md:\n  {}",
            faults.join("\n  ")
        );
    }

    #[test]
    fn a_fault_of_the_runbook_is_named() {
        let runbook = runbook();
        for (from, to, fault) in [
            (
                "### `panicked`",
                "#### `panicked`",
                "`panicked` has no section in Codes",
            ),
            (
                "### `poison`",
                "#### `poison`",
                "`poison` has no section in Dead letters by reason",
            ),
            (
                "### `panicked`",
                "### `panicky`",
                "`panicky` in Codes stands for nothing",
            ),
            (
                "### `panicked`",
                "### `archive_full`",
                "`archive_full` in Codes stands there twice",
            ),
            (
                "## Replay\n",
                "## Replay\n\n### `x`\n",
                "`x` in Replay stands for nothing",
            ),
            (
                "**Means**",
                "Means",
                "`cxone_unreachable` in Codes lacks **Means**",
            ),
            (
                "**You do**",
                "You do",
                "`cxone_unreachable` in Codes lacks **You do**",
            ),
        ] {
            let faults = faults(&runbook.replacen(from, to, 1));
            assert!(
                faults.iter().any(|named| named == fault),
                "{fault}: {faults:?}"
            );
        }
    }
}
