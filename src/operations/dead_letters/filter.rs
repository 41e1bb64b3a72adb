//! Which dead letters a command or a request means. The flags of the commands, the parameters of a query and the members
//! of a body are made from this one type.

use std::collections::HashSet;
use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::de::{Deserializer, Error as _};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::{IntoParams, ToSchema};

use super::{DeadLetter, DeadLetterId};
use crate::failure::{Code, Reason};
use crate::job::{BatchId, UserId};
use crate::machine::StateName;
use crate::operations::when;

/// Which dead letters; each given filter has to match
#[derive(Debug, Clone, Default, Deserialize, IntoParams, ToSchema)]
#[into_params(parameter_in = Query)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct DeadLetterFilter {
    /// Dead letters with this ID.
    #[param(required = false, value_type = Vec<DeadLetterId>)]
    #[schema(required = false, value_type = Vec<DeadLetterId>)]
    pub letter: HashSet<DeadLetterId>,
    /// Only dead letters of this user.
    #[param(required = false, value_type = Vec<UserId>)]
    #[schema(required = false, value_type = Vec<UserId>)]
    pub user: HashSet<UserId>,
    /// Only dead letters of this batch.
    pub batch: Option<BatchId>,
    /// Only dead letters of this group: a fingerprint, or its first digits.
    #[param(required = false)]
    #[schema(required = false)]
    pub group: Vec<GroupName>,
    /// Only dead letters with this reason.
    #[param(required = false)]
    #[schema(required = false)]
    pub reason: Vec<Reason>,
    /// Only dead letters whose last failure has this code.
    #[param(required = false)]
    #[schema(required = false)]
    pub code: Vec<Code>,
    /// Only dead letters of this step that failed, e.g. archive.
    #[param(required = false)]
    #[schema(required = false)]
    pub step: Vec<FailedStep>,
    /// Only dead letters with this last completed state, e.g. Deactivated.
    #[param(required = false)]
    #[schema(required = false)]
    pub state: Vec<StateName>,
    /// Only dead letters since a time (2026-11-01T00:00:00Z), or of the last period (2h).
    #[serde(deserialize_with = "when::since")]
    #[param(value_type = Option<String>, pattern = r"^([1-9][0-9]{0,3}[smhd]|20[0-9]{2}-(0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]Z)$")]
    #[schema(value_type = Option<String>, pattern = r"^([1-9][0-9]{0,3}[smhd]|20[0-9]{2}-(0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]Z)$")]
    pub since: Option<Timestamp>,
    /// Maximum number of dead letters, oldest first.
    #[serde(deserialize_with = "at_least_one")]
    #[param(minimum = 1, maximum = 1000, value_type = Option<u64>)]
    #[schema(minimum = 1, value_type = Option<u64>)]
    pub limit: Option<usize>,
    /// All dead letters, if no other filter is given.
    #[param(required = false)]
    #[schema(required = false)]
    pub all: bool,
}

/// The fingerprint of a group, or its first digits
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(try_from = "String")]
#[schema(value_type = String, pattern = "^[0-9a-f]{1,12}$", example = "2d1f5436374b")]
pub(crate) struct GroupName(String);

/// The length of a whole fingerprint.
const FINGERPRINT_CHARS: usize = 12;

impl GroupName {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// The whole fingerprint, if it is one.
    pub(super) fn whole(&self) -> Option<&str> {
        (self.0.len() == FINGERPRINT_CHARS).then_some(self.0.as_str())
    }

    pub(super) fn names(&self, fingerprint: &str) -> bool {
        fingerprint.starts_with(&self.0)
    }
}

impl FromStr for GroupName {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_hex = |one: u8| one.is_ascii_digit() || (b'a'..=b'f').contains(&one);
        if (1..=FINGERPRINT_CHARS).contains(&text.len()) && text.bytes().all(is_hex) {
            return Ok(Self(text.to_owned()));
        }
        Err(
            "a group has a fingerprint of 12 hex digits, as `dead-letters groups` shows it; the first ones are enough",
        )
    }
}

impl TryFrom<String> for GroupName {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl fmt::Display for GroupName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A step that can fail, as dead letters name it
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum FailedStep {
    ClearQueues,
    Deactivate,
    Archive,
    Delete,
    Record,
}

impl FailedStep {
    fn names(self, step: &str) -> bool {
        let name = match self {
            Self::ClearQueues => StateName::Received.next_step(),
            Self::Deactivate => StateName::QueuesCleared.next_step(),
            Self::Archive => StateName::Deactivated.next_step(),
            Self::Delete => StateName::Archived.next_step(),
            Self::Record => StateName::Deleted.next_step(),
        };
        step == name
    }
}

impl DeadLetterFilter {
    /// Whether it names dead letters, users or groups, so that it is a problem to find none.
    pub(crate) fn names_any(&self) -> bool {
        !self.letter.is_empty() || !self.user.is_empty() || !self.group.is_empty()
    }

    /// Whether it is empty, so that it matches all dead letters.
    pub(crate) fn is_empty(&self) -> bool {
        !self.names_any()
            && self.batch.is_none()
            && self.reason.is_empty()
            && self.code.is_empty()
            && self.step.is_empty()
            && self.state.is_empty()
            && self.since.is_none()
            && self.limit.is_none()
    }

    /// The same, with this limit if it has none.
    #[must_use]
    pub(crate) fn or_limit(self, limit: usize) -> Self {
        Self {
            limit: self.limit.or(Some(limit)),
            ..self
        }
    }

    /// For the audit log.
    pub(crate) fn to_json(&self) -> Value {
        let mut ids = Vec::from_iter(&self.letter);
        let mut users = Vec::from_iter(&self.user);
        ids.sort_unstable();
        users.sort_unstable();

        json!({
            "letters": ids, "users": users, "batch": self.batch, "reasons": self.reason,
            "groups": self.group, "codes": self.code, "steps": self.step, "states": self.state,
            "since": self.since, "limit": self.limit,
        })
    }

    /// Whether it matches this dead letter, apart from the limit.
    pub(crate) fn matches(&self, dead_letter: &DeadLetter) -> bool {
        let is_of_user = |user| self.user.contains(&user);
        let has_code = |code| self.code.contains(&code);
        let is_since = |since| dead_letter.dead_lettered_at.is_some_and(|at| at >= since);
        let fingerprint = dead_letter.fingerprint.as_str();

        (self.letter.is_empty() || self.letter.contains(&dead_letter.id))
            && (self.user.is_empty() || dead_letter.user_id.is_some_and(is_of_user))
            && (self.batch.is_none() || self.batch == dead_letter.batch_id)
            && any(&self.group, |group| group.names(fingerprint))
            && any(&self.reason, |reason| *reason == dead_letter.reason)
            && (self.code.is_empty() || dead_letter.code.is_some_and(has_code))
            && any(&self.step, |step| step.names(&dead_letter.step))
            && any(&self.state, |state| state.as_str() == dead_letter.state)
            && self.since.is_none_or(is_since)
    }
}

/// Whether one of them fits, or there are none.
fn any<T>(wanted: &[T], fits: impl FnMut(&T) -> bool) -> bool {
    wanted.is_empty() || wanted.iter().any(fits)
}

fn at_least_one<'de, D: Deserializer<'de>>(number: D) -> Result<Option<usize>, D::Error> {
    let Some(given) = Option::<serde_json::Number>::deserialize(number)? else {
        return Ok(None);
    };
    // In JSON, 5.0 and 5 are the same number.
    let whole = |number: f64| (number.fract() == 0.0).then(|| format!("{number:.0}"));
    let number = given
        .as_u64()
        .or_else(|| whole(given.as_f64()?)?.parse().ok());
    let number = number.and_then(|number| usize::try_from(number).ok());
    number
        .filter(|number| *number > 0)
        .map(Some)
        .ok_or_else(|| D::Error::custom(format!("{given} is not a whole number from 1 on")))
}

#[cfg(test)]
#[path = "filter_tests.rs"]
mod tests;
