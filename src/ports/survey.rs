//! What a real tenant shows of itself, for `doctor` and for a rehearsal: answers to questions that no public source
//! answers.

use serde::Serialize;

use crate::failure::Failure;

/// The check by which an API that keeps deleted users shows one.
pub(crate) const STATE_OF_USER: &str = "state of the user";

/// One thing that was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Observation {
    /// The open question of `docs/tenants.md` that it answers, e.g. `cxone-7`.
    pub question: Option<&'static str>,
    /// What was checked, in a few words.
    pub check: &'static str,
    pub seen: Seen,
}

/// What was seen. No text holds an ID, a name or other personal data: a rehearsal's file is given away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Seen {
    /// As off-boarding needs it.
    Good(String),
    /// It keeps users from off-boarding.
    Bad {
        detail: String,
        remedy: String,
    },
    /// It answers a question, and neither answer is wrong.
    Fact(String),
    /// It cannot be seen from here, for this reason.
    Unknown(String),
    Failed(Failure),
}

/// The word of what was seen, in a rehearsal's file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum SeenWord {
    Good,
    Bad,
    Fact,
    Unknown,
    Failed,
}

impl Seen {
    pub(crate) const fn word(&self) -> SeenWord {
        match self {
            Self::Good(_) => SeenWord::Good,
            Self::Bad { .. } => SeenWord::Bad,
            Self::Fact(_) => SeenWord::Fact,
            Self::Unknown(_) => SeenWord::Unknown,
            Self::Failed(_) => SeenWord::Failed,
        }
    }
}
