//! What the fuzz target `headers` checks.

use lapin::protocol::basic::parse_properties;

use super::from_amqp;
use crate::queue::headers::{OURS, PUBLISHED_BY, REFUSED};
use crate::queue::{
    Envelope, Incoming, MAX_HEADER_BYTES, MAX_SHOWN_BYTES, Properties, SHOWN_DEPTH, admit,
    admit_dead_letter, successor, weight_of,
};

const LOGIN: &str = "offboarder-worker";

/// Takes properties as they are sent through conversion and allow-list; `false` when they could not be read.
pub(crate) fn admits(bytes: &[u8], ours: bool, redelivered: bool) -> bool {
    let Ok((_rest, foreign)) = parse_properties(bytes) else {
        return false;
    };
    let mut foreign = from_amqp(&foreign);
    if ours {
        foreign.user_id = Some(LOGIN.to_owned());
    }
    let incoming = |properties: &Properties| Incoming {
        exchange: "offboarding".to_owned(),
        routing_key: "users".to_owned(),
        redelivered,
        properties: properties.clone(),
        body: Vec::new(),
    };

    let admitted = admit(incoming(&foreign), Some(LOGIN)).properties;
    only_listed_properties_stay(&foreign, &admitted);
    only_believed_headers_stay(&admitted, ours);

    // As it comes back, published by ourselves.
    let next = successor(&admitted, Vec::new());
    let mut published = next.clone();
    published.user_id = Some(LOGIN.to_owned());
    let again = admit(incoming(&published), Some(LOGIN)).properties;
    // What is no number is not equal to itself.
    let text = |properties: &Properties| format!("{properties:?}");
    assert_eq!(text(&successor(&again, Vec::new())), text(&next));

    dead_letter_is_small(&admit_dead_letter(incoming(&foreign), Some(LOGIN)));
    true
}

fn only_listed_properties_stay(foreign: &Properties, admitted: &Properties) {
    let listed = Properties {
        headers: admitted.headers.clone(),
        content_type: foreign.content_type.clone(),
        correlation_id: foreign.correlation_id.clone(),
        message_id: foreign.message_id.clone(),
        timestamp: foreign.timestamp,
        ..Properties::default()
    };
    let text = |properties: &Properties| format!("{properties:?}");
    assert_eq!(text(admitted), text(&listed));
}

#[expect(clippy::expect_used, reason = "a panic is what a fuzz target reports")]
fn only_believed_headers_stay(admitted: &Properties, ours: bool) {
    let weight = weight_of(&admitted.headers, 0).expect("nothing is nested");
    assert!(ours || weight <= MAX_HEADER_BYTES + 600, "{weight} bytes");
    for name in admitted.headers.keys() {
        let name = name.to_ascii_lowercase();
        assert!(!["cc", "bcc", "x-death"].contains(&name.as_str()), "{name}");
        let own = name == PUBLISHED_BY || name == REFUSED;
        assert!(
            ours || own || !name.starts_with(OURS) || !admitted.headers.contains_key(&name),
            "{name}"
        );
    }
}

#[expect(clippy::expect_used, reason = "a panic is what a fuzz target reports")]
fn dead_letter_is_small(dead_letter: &Envelope) {
    let shown = &dead_letter.properties;
    let weight = weight_of(&shown.headers, SHOWN_DEPTH + 1).expect("nothing is deep");
    assert!(weight <= MAX_SHOWN_BYTES * 2, "{weight} bytes are shown");
    shown.headers_json();
    shown.standard_json();
}
