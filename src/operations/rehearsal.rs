//! The file of a rehearsal: what a real tenant answered to the calls of one off-boarding, without personal data.

use jiff::Timestamp;
use serde::Serialize;
use uuid::Uuid;

use crate::machine::{Call, StateName, StepRecord};
use crate::ports::{Observation, Seen, SeenWord};
use crate::profile::TenantProfile;

/// The document.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Rehearsal {
    /// The form of this document.
    pub format: u32,
    pub profile: TenantProfile,
    pub release: &'static str,
    /// The day, without the time.
    pub date: String,
    /// How it ended; `None` if it did not reach an end.
    pub end: Option<StateName>,
    /// The last failure, if there was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    pub before: Vec<Answer>,
    pub calls: Vec<RehearsedCall>,
    /// The kinds of what is left over: notes may have names.
    pub residual: Vec<String>,
    pub after: Vec<Answer>,
    pub repeated: Vec<Answer>,
}

/// What was seen, and which question it answers.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Answer {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub question: Option<&'static str>,
    pub check: &'static str,
    pub seen: SeenWord,
    pub detail: String,
}

/// A call of the off-boarding: how it was answered, not of whom.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RehearsedCall {
    pub step: StateName,
    pub method: String,
    pub path: String,
    pub status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

impl Rehearsal {
    pub(crate) fn new(profile: TenantProfile, now: Timestamp) -> Self {
        Self {
            format: 1,
            profile,
            release: env!("CARGO_PKG_VERSION"),
            date: now.strftime("%Y-%m-%d").to_string(),
            end: None,
            failure: None,
            before: Vec::new(),
            calls: Vec::new(),
            residual: Vec::new(),
            after: Vec::new(),
            repeated: Vec::new(),
        }
    }

    pub(crate) fn add_steps(&mut self, steps: &[StepRecord]) {
        let rehearsed = |step: StateName, call: &Call| RehearsedCall {
            step,
            method: call.method.clone(),
            path: without_ids(&call.path),
            status: call.status,
            note: call.note.as_deref().map(without_ids),
        };
        self.calls.extend(
            steps
                .iter()
                .flat_map(|step| step.calls.iter().map(move |call| (step.state, call)))
                .map(|(step, call)| rehearsed(step, call)),
        );
    }
}

/// What was seen, as it is given away.
pub(crate) fn answers(observations: &[Observation]) -> Vec<Answer> {
    let answer = |one: &Observation| Answer {
        question: one.question,
        check: one.check,
        seen: one.seen.word(),
        detail: match &one.seen {
            Seen::Good(text) | Seen::Fact(text) | Seen::Unknown(text) => without_ids(text),
            Seen::Bad { detail, .. } => without_ids(detail),
            Seen::Failed(failure) => without_ids(&format!("{}: {}", failure.code, failure.text)),
        },
    };
    observations.iter().map(answer).collect()
}

/// The text with `{id}` for each UUID and each word like a key, `{number}` for each number of more than four digits and each in
/// a path, `{address}` for each word with an `@`, and `{host}` for each URL's host.
pub(crate) fn without_ids(text: &str) -> String {
    let is_part =
        |one: char| one.is_alphanumeric() || matches!(one, '-' | '_' | '@' | '.' | '+' | '~');
    let mut cleared = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let end = rest.find(|one| !is_part(one)).unwrap_or(rest.len());
        let word = rest.get(..end).unwrap_or_default();
        if word.is_empty() {
            cleared.push(first);
            rest = rest.get(first.len_utf8()..).unwrap_or_default();
            continue;
        }
        let is_number = word.bytes().all(|one| one.is_ascii_digit());
        cleared.push_str(if cleared.ends_with("://") {
            "{host}"
        } else if cleared.ends_with('/') && is_number {
            "{number}"
        } else {
            shown(word)
        });
        rest = rest.get(end..).unwrap_or_default();
    }
    cleared
}

/// A word, or what replaces it.
fn shown(word: &str) -> &str {
    let digits = word.chars().filter(char::is_ascii_digit).count();
    if word.contains('@') {
        "{address}"
    } else if Uuid::try_parse(word.trim_matches('.')).is_ok()
        || (word.len() > 24 && digits > 4)
        || is_key(word)
    {
        "{id}"
    } else if digits > 4 && !is_time(word) {
        "{number}"
    } else {
        word
    }
}

/// Access keys are capitals and digits. No word of a vendor's has 16 of them together.
fn is_key(word: &str) -> bool {
    let is_one = |one: u8| one.is_ascii_uppercase() || one.is_ascii_digit();
    word.len() >= 16 && word.bytes().all(is_one)
}

/// A date or a version says nothing of a person.
fn is_time(word: &str) -> bool {
    word.get(..10)
        .is_some_and(|date| date.parse::<jiff::civil::Date>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::{Class, Code, Failure};

    #[test]
    fn nothing_of_a_person_or_of_the_tenant_is_given_away() {
        for (text, cleared) in [
            (
                "/user-management/v3/users/3f1f0d4e-9a51-4b4b-8f6c-1f9a4f9b7c11",
                "/user-management/v3/users/{id}",
            ),
            (
                "/incontactapi/services/v34.0/skills/4096771/agents/1234567",
                "/incontactapi/services/v34.0/skills/{number}/agents/{number}",
            ),
            (
                "ada@example.com has 2 of 3 keys",
                "{address} has 2 of 3 keys",
            ),
            ("https://api-na1.niceincontact.com/x", "https://{host}/x"),
            ("since 2026-11-28, 1200 rows", "since 2026-11-28, 1200 rows"),
            (
                "/services/v34.0/groups/7001/agents",
                "/services/v34.0/groups/{number}/agents",
            ),
            ("access key ABCDEFGHIJKLMNOP", "access key {id}"),
            ("400 USER_NOT_FOUND", "400 USER_NOT_FOUND"),
            ("key VWXYZ0123456789ABCDEFGHIJKLMN", "key {id}"),
            ("", ""),
            ("Größe 12", "Größe 12"),
        ] {
            assert_eq!(without_ids(text), cleared);
        }
    }

    #[test]
    fn each_kind_of_observation_has_its_word_and_no_id() {
        let failure = Failure::new(
            Class::Transient,
            Code::CxoneTimeout,
            "GET /users/3f1f0d4e-9a51-4b4b-8f6c-1f9a4f9b7c11: no answer",
        );
        let seen = [
            Seen::Good("1 of 1".to_owned()),
            Seen::Bad {
                detail: "ada@example.com".to_owned(),
                remedy: "none".to_owned(),
            },
            Seen::Fact("404".to_owned()),
            Seen::Unknown("no contacts".to_owned()),
            Seen::Failed(failure),
        ];
        let observed = seen.map(|seen| Observation {
            question: Some("cxone-4"),
            check: "check",
            seen,
        });
        let text = serde_json::to_string(&answers(&observed)).unwrap();
        for word in [
            "good",
            "bad",
            "fact",
            "unknown",
            "failed",
            "cxone_timeout",
            "cxone-4",
        ] {
            assert!(text.contains(word), "{word}: {text}");
        }
        assert!(
            !text.contains("3f1f0d4e") && !text.contains("ada"),
            "{text}"
        );
    }
}
