//! What a contact says of itself.

use std::time::Duration;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use crate::ports::ConversationFacts;

/// No contact is longer; more is no duration of one.
const LONGEST_SECONDS: f64 = 366.0 * 86_400.0;

/// What is read of a contact, in one pass.
pub(super) struct Contact {
    pub(super) facts: ConversationFacts,
    /// `agentId`; null where it names none.
    pub(super) agent: Value,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire {
    #[serde(default)]
    agent_id: Value,
    #[serde(default)]
    contact_id: Value,
    #[serde(default)]
    contact_start_date: Value,
    #[serde(default)]
    total_duration_seconds: Value,
}

pub(super) fn contact_facts(contact: &[u8]) -> ConversationFacts {
    read_contact(contact).map_or_else(ConversationFacts::default, |contact| contact.facts)
}

/// `contactId`, which is a number, and the begin. There is no end, only a duration. `None` for what is no contact.
pub(super) fn read_contact(contact: &[u8]) -> Option<Contact> {
    let wire = serde_json::from_slice::<Wire>(contact).ok()?;
    let id = match wire.contact_id {
        Value::Number(number) => Some(number.to_string()),
        Value::String(text) if !text.is_empty() => Some(text),
        Value::Null | Value::Bool(_) | Value::String(_) | Value::Array(_) | Value::Object(_) => {
            None
        }
    };
    let start: Option<Timestamp> = wire
        .contact_start_date
        .as_str()
        .and_then(|text| text.parse().ok());
    let seconds = wire.total_duration_seconds.as_f64();
    let lasted = seconds.filter(|seconds| (0.0..LONGEST_SECONDS).contains(seconds));
    let end = start
        .zip(lasted)
        .and_then(|(start, lasted)| start.checked_add(Duration::from_secs_f64(lasted)).ok());
    Some(Contact {
        facts: ConversationFacts { id, start, end },
        agent: wire.agent_id,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_contact_has_a_number_a_begin_and_an_end_that_is_computed() {
        let facts = contact_facts(
            br#"{"contactId":4711,"contactStartDate":"1970-01-01T00:00:10.500Z","totalDurationSeconds":2.5}"#,
        );
        assert_eq!(facts.id.as_deref(), Some("4711"));
        assert_eq!(facts.start, Some(Timestamp::constant(10, 500_000_000)));
        assert_eq!(facts.end, Some(Timestamp::constant(13, 0)));
    }

    #[test]
    fn what_a_contact_does_not_say_is_unknown() {
        for text in [
            r#"{"contactStartDate":"soon","totalDurationSeconds":1}"#,
            r#"{"contactStartDate":"1970-01-01T00:00:10Z","totalDurationSeconds":-1}"#,
            r#"{"contactStartDate":"1970-01-01T00:00:10Z","totalDurationSeconds":1e300}"#,
            r#"{"contactStartDate":"1970-01-01T00:00:10Z"}"#,
            r#"{"contactId":""}"#,
            "[]",
        ] {
            let facts = contact_facts(text.as_bytes());
            assert_eq!((facts.id, facts.end), (None, None), "{text}");
        }
    }
}
