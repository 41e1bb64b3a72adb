//! What a conversation says of itself, in the member names that most APIs have.

use std::borrow::Cow;

use jiff::Timestamp;
use serde::Deserialize;

use crate::ports::ConversationFacts;

#[derive(Deserialize)]
struct Wire<'a> {
    #[serde(borrow, rename = "conversationId", alias = "id", default)]
    id: Option<Cow<'a, str>>,
    #[serde(borrow, rename = "conversationStart", default)]
    start: Option<Cow<'a, str>>,
    #[serde(borrow, rename = "conversationEnd", default)]
    end: Option<Cow<'a, str>>,
}

/// `conversationId` or `id`, `conversationStart`, `conversationEnd`; a member of another shape makes the rest unknown, too.
pub(crate) fn conversation_facts(conversation: &[u8]) -> ConversationFacts {
    let Ok(wire) = serde_json::from_slice::<Wire<'_>>(conversation) else {
        return ConversationFacts::default();
    };
    let time = |text: Option<Cow<'_, str>>| text?.parse::<Timestamp>().ok();
    ConversationFacts {
        id: wire.id.map(Cow::into_owned),
        start: time(wire.start),
        end: time(wire.end),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_that_cannot_be_read_is_unknown() {
        let start = |text: &str| conversation_facts(text.as_bytes()).start;
        let at = Timestamp::constant(999, 0);
        assert_eq!(
            start(r#"{"conversationStart":"1970-01-01T00:16:39Z"}"#),
            Some(at)
        );
        for text in [
            r#"{"conversationStart":"soon"}"#,
            r#"{"conversationStart":7}"#,
            r#"{"id":"x"}"#,
        ] {
            assert_eq!(start(text), None, "{text}");
        }
        assert_eq!(
            conversation_facts(br#"{"id":"x"}"#).id.as_deref(),
            Some("x")
        );
    }
}
