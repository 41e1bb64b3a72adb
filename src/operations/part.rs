//! Parts of an answer, of which one may be unknown while the others are known: a service that is away does not take the
//! whole answer with it.

use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use crate::failure::Failure;

/// A part of an answer, with the time of its facts
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Part<T> {
    /// When `known` was read; null if there is nothing.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub as_of: Option<Timestamp>,
    /// What is known. If `unknown` is not null, it is what this worker read before, and old.
    pub known: Option<T>,
    /// Why it could not be read now; null if it was read.
    pub unknown: Option<WhyUnknown>,
}

/// Why something is unknown
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct WhyUnknown {
    /// A code of the runbook, `timeout`, `not_counted`, `not_searched`, or `being_rebuilt`.
    #[schema(value_type = String, example = "checkpoints_unreachable")]
    pub code: &'static str,
    /// For people.
    pub text: String,
}

impl WhyUnknown {
    pub(crate) fn new(code: &'static str, text: impl Into<String>) -> Self {
        Self {
            code,
            text: text.into(),
        }
    }
}

impl WhyUnknown {
    /// The store lost the index of the users who still have access.
    pub(crate) fn being_rebuilt() -> Self {
        let text = "the index of users who still have access is being rebuilt, since Redis lost it";
        Self::new("being_rebuilt", text)
    }
}

impl From<Failure> for WhyUnknown {
    fn from(failure: Failure) -> Self {
        Self::new(failure.code.as_str(), failure.text)
    }
}

impl<T: Clone> Part<T> {
    /// What was read at `now`, or else what was known before.
    pub(crate) fn of(read: Result<T, WhyUnknown>, before: Option<&Self>, now: Timestamp) -> Self {
        match read {
            Ok(known) => Self {
                as_of: Some(now),
                known: Some(known),
                unknown: None,
            },
            Err(why) => Self {
                as_of: before.and_then(|before| before.as_of),
                known: before.and_then(|before| before.known.clone()),
                unknown: Some(why),
            },
        }
    }
}

/// Reads, but not for longer than this.
pub(crate) async fn within<T, E: Into<WhyUnknown>>(
    limit: Duration,
    reading: impl Future<Output = Result<T, E>>,
) -> Result<T, WhyUnknown> {
    match tokio::time::timeout(limit, reading).await {
        Ok(read) => read.map_err(Into::into),
        Err(_elapsed) => {
            let text = format!("no answer within {} s", limit.as_secs());
            Err(WhyUnknown::new("timeout", text))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::{Class, Code};

    #[tokio::test(start_paused = true)]
    async fn a_part_that_cannot_be_read_keeps_what_was_known_and_its_time() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let away = || Failure::new(Class::Systemic, Code::CheckpointsUnreachable, "away");
        let never = Part::<u8>::of(Err(away().into()), None, at(1));
        assert_eq!((never.as_of, never.known), (None, None));
        assert_eq!(never.unknown.unwrap().code, "checkpoints_unreachable");

        let known = Part::of(Ok(12_u8), None, at(2));
        assert_eq!((known.as_of, known.unknown.clone()), (Some(at(2)), None));
        let old = Part::of(Err(away().into()), Some(&known), at(9));
        assert_eq!((old.as_of, old.known), (Some(at(2)), Some(12)));
        assert!(old.unknown.is_some());

        let slow = std::future::pending::<Result<u8, Failure>>();
        let slow = within(Duration::from_secs(5), slow).await;
        assert_eq!(slow.unwrap_err().code, "timeout");
    }
}
