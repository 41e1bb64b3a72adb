use super::super::headers::{NOT_BEFORE, dead_letter};
use super::super::successor;
use super::*;

const WORKER: &str = "offboarder-worker";

fn incoming(properties: Properties, body: &[u8]) -> Incoming {
    Incoming {
        exchange: "offboarding".to_owned(),
        routing_key: "users".to_owned(),
        redelivered: false,
        properties,
        body: body.to_vec(),
    }
}

fn of<'a>(headers: impl IntoIterator<Item = (&'a str, HeaderValue)>) -> Properties {
    Properties::of_headers(headers)
}

fn published_by(properties: Properties, login: &str) -> Properties {
    Properties {
        user_id: Some(login.to_owned()),
        ..properties
    }
}

fn headers(properties: &Properties) -> Vec<(String, String)> {
    let headers = properties.headers.iter();
    headers
        .map(|(name, value)| (name.clone(), value.to_json().to_string()))
        .collect()
}

fn names(properties: &Properties) -> Vec<String> {
    properties.headers.keys().cloned().collect()
}

fn admitted(properties: Properties) -> Properties {
    admit(incoming(properties, b"x"), Some(WORKER)).properties
}

#[test]
fn only_what_is_on_the_list_stays_on_a_message() {
    let keys = || HeaderValue::Array(vec!["archive".into()]);
    let mut properties = of([
        ("CC", keys()),
        ("BCC", keys()),
        ("x-death", keys()),
        ("x-first-death-queue", "users".into()),
        ("x-last-death-reason", "expired".into()),
        ("x-delivery-count", HeaderValue::I32(19)),
        ("x-offboarder-revision", HeaderValue::I32(2)),
        ("x-offboarder-not-before", i64::MAX.into()),
        ("x-offboarder-anything", "x".into()),
        (
            "table",
            HeaderValue::Table([("a".to_owned(), "b".into())].into()),
        ),
        ("array", keys()),
        ("tenant", "emea".into()),
        ("number", HeaderValue::I32(7)),
        (
            "traceparent",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into(),
        ),
        ("tracestate", keys()),
    ]);
    let text = |text: &str| Some(text.to_owned());
    properties.content_type = text("application/json");
    properties.content_encoding = text("gzip");
    properties.correlation_id = text("c-1");
    properties.message_id = text("m-1");
    properties.timestamp = Some(7);
    properties.reply_to = text("amq.rabbitmq.reply-to");
    properties.app_id = text("a");
    properties.kind = text("t");
    properties.user_id = text("hr");

    let admitted = admitted(properties);
    assert_eq!(
        names(&admitted),
        ["number", "tenant", "traceparent", PUBLISHED_BY]
    );
    assert!(headers(&admitted).contains(&(PUBLISHED_BY.to_owned(), "\"hr\"".to_owned())));

    let mut next = successor(&admitted, vec![("x-offboarder-reason", "poison".into())]);
    assert_eq!(names(&next).len(), 5);
    next.headers.clear();
    let list = Properties {
        content_type: text("application/json"),
        correlation_id: text("c-1"),
        message_id: text("m-1"),
        timestamp: Some(7),
        ..Properties::default()
    };
    assert_eq!(next, list);
}

#[test]
fn headers_of_ours_are_believed_under_our_own_login_only() {
    let delayed = || of([(NOT_BEFORE, 1_i64.into()), (PUBLISHED_BY, "hr".into())]);
    let ours = admitted(published_by(delayed(), WORKER));
    assert_eq!(
        headers(&ours),
        [
            (NOT_BEFORE.to_owned(), "1".to_owned()),
            (PUBLISHED_BY.to_owned(), "\"hr\"".to_owned())
        ]
    );
    assert_eq!(names(&admitted(delayed())), [""; 0]);

    let hr = admitted(published_by(delayed(), "ceo"));
    assert_eq!(
        headers(&hr),
        [(PUBLISHED_BY.to_owned(), "\"ceo\"".to_owned())]
    );
    for publisher in [None, Some(WORKER)] {
        let properties = publisher.map_or_else(delayed, |name| published_by(delayed(), name));
        let envelope = admit(incoming(properties, b"x"), None);
        assert!(
            !names(&envelope.properties).contains(&NOT_BEFORE.to_owned()),
            "without a login of ours, no login is ours"
        );
    }
}

#[test]
fn a_delivery_count_is_the_brokers_at_a_redelivery_only() {
    for redelivered in [false, true] {
        let mut message = incoming(of([(DELIVERY_COUNT, HeaderValue::I32(19))]), b"x");
        message.redelivered = redelivered;
        let envelope = admit(message, Some(WORKER));
        assert_eq!(
            names(&envelope.properties).contains(&DELIVERY_COUNT.to_owned()),
            redelivered
        );
        assert!(names(&successor(&envelope.properties, Vec::new())).is_empty());
    }
}

#[test]
fn many_or_long_headers_are_refused_and_leave_room_in_a_frame() {
    let long = of([("h", "x".repeat(130_900).into())]);
    let why = "\"its headers have 130911 bytes, over 8192\"".to_owned();
    assert_eq!(headers(&admitted(long)), [(REFUSED.to_owned(), why)]);

    let names_of_70: Vec<String> = (0..70).map(|n| format!("h{n}")).collect();
    let many = names_of_70
        .iter()
        .map(|name| (name.as_str(), "x".repeat(100).into()));
    let fits = admitted(of(many));
    assert_eq!(names(&fits).len(), 70);

    let dead_letter = successor(&fits, vec![(dead_letter::ERROR, "x".repeat(4096).into())]);
    let bytes = weight_of(&dead_letter.headers, 1).unwrap();
    assert!(bytes < 16 * 1024, "{bytes}");
}

#[test]
fn a_body_over_the_limit_is_cut_and_says_how_large_it_was() {
    let large = incoming(Properties::default(), &vec![b' '; MAX_BODY_BYTES + 1]);
    let envelope = admit(large, Some(WORKER));
    assert_eq!(envelope.body().len(), MAX_BODY_BYTES);
    assert_eq!(
        envelope.refused().as_deref(),
        Some("its body has 262145 bytes, over 262144, and is cut to that")
    );
}

#[test]
fn a_dead_letter_that_the_broker_moved_does_not_say_what_its_publisher_wrote() {
    let death = || {
        let table = HeaderValue::Table([("count".to_owned(), 1_i64.into())].into());
        HeaderValue::Array(vec![table])
    };
    let forged = || {
        of([
            (dead_letter::REASON, "protected_user".into()),
            ("x-death", death()),
            ("a", "b".into()),
        ])
    };
    let seen =
        |properties| names(&admit_dead_letter(incoming(properties, b"x"), Some(WORKER)).properties);
    assert_eq!(seen(forged()), ["a", "x-death"]);
    assert_eq!(
        seen(published_by(forged(), "hr")),
        ["a", "x-death", PUBLISHED_BY]
    );
    assert_eq!(
        seen(published_by(forged(), WORKER)),
        ["a", "x-death", dead_letter::REASON]
    );
    assert_eq!(
        seen(of([(dead_letter::REASON, "poison".into())])),
        [dead_letter::REASON],
        "of an earlier release"
    );
}

#[test]
fn parts_of_a_trace_are_short_and_plain() {
    let kept = |value| names(&admitted(of([("tracestate", value)]))).len();
    assert_eq!(kept("x".repeat(512).into()), 1);
    for value in [
        "x".repeat(513).into(),
        "a=b\u{1b}[2J".into(),
        "ü".into(),
        HeaderValue::I32(1),
    ] {
        assert_eq!(kept(value.clone()), 0, "{value:?}");
    }
}
