use lapin::protocol::basic::parse_properties;

use super::super::headers::{letter, plain};
use super::*;

const WORKER: &str = "offboarder-worker";

fn message(properties: BasicProperties, body: &[u8]) -> Delivery {
    let mut delivery = Delivery::mock(
        1,
        "offboarding".into(),
        "users".into(),
        false,
        body.to_vec(),
    );
    delivery.properties = properties;
    delivery
}

fn table(headers: Vec<(&str, AMQPValue)>) -> FieldTable {
    let mut table = FieldTable::default();
    for (name, value) in headers {
        table.insert(name.into(), value);
    }
    table
}

fn of(headers: Vec<(&str, AMQPValue)>) -> BasicProperties {
    BasicProperties::default().with_headers(table(headers))
}

fn headers(properties: &BasicProperties) -> Vec<(String, String)> {
    let table = properties.headers().iter().flat_map(FieldTable::inner);
    table
        .map(|(name, value)| (name.to_string(), plain(value).to_string()))
        .collect()
}

fn names(properties: &BasicProperties) -> Vec<String> {
    headers(properties)
        .into_iter()
        .map(|(name, _)| name)
        .collect()
}

fn admitted(properties: BasicProperties) -> BasicProperties {
    let mut delivery = message(properties, b"x");
    admit(&mut delivery, Some(WORKER));
    delivery.properties
}

/// The bytes of a header that is arrays in arrays.
fn nested(levels: u32) -> Vec<u8> {
    let mut entry = b"\x01n".to_vec();
    for level in 0..levels {
        entry.push(b'A');
        entry.extend((5 * (levels - level - 1)).to_be_bytes());
    }
    entry
}

/// Properties as a publisher of any kind sends them: headers and a correlation ID.
fn sent(entries: &[u8], correlation_id: &[u8]) -> BasicProperties {
    let mut bytes = vec![0x24, 0];
    bytes.extend(u32::try_from(entries.len()).unwrap().to_be_bytes());
    bytes.extend(entries);
    bytes.push(u8::try_from(correlation_id.len()).unwrap());
    bytes.extend(correlation_id);
    let (rest, properties) = parse_properties(bytes.as_slice()).unwrap();
    assert!(rest.is_empty());
    properties
}

#[test]
fn only_what_is_on_the_list_goes_on() {
    let keys = || AMQPValue::FieldArray(vec![text("archive")].into());
    let properties = of(vec![
        ("CC", keys()),
        ("BCC", keys()),
        ("x-death", keys()),
        ("x-first-death-queue", text("users")),
        ("x-last-death-reason", text("expired")),
        ("x-delivery-count", AMQPValue::LongInt(19)),
        ("x-offboarder-revision", AMQPValue::LongInt(2)),
        ("x-offboarder-not-before", AMQPValue::LongLongInt(i64::MAX)),
        ("x-offboarder-anything", text("x")),
        (
            "table",
            AMQPValue::FieldTable(table(vec![("a", text("b"))])),
        ),
        ("array", keys()),
        ("tenant", text("emea")),
        ("number", AMQPValue::LongInt(7)),
        (
            "traceparent",
            text("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        ),
        ("tracestate", keys()),
    ]);
    let properties = properties
        .with_content_type("application/json".into())
        .with_content_encoding("gzip".into())
        .with_correlation_id("c-1".into())
        .with_message_id("m-1".into())
        .with_timestamp(7)
        .with_expiration("1000".into())
        .with_priority(9)
        .with_reply_to("amq.rabbitmq.reply-to".into())
        .with_cluster_id("c".into())
        .with_app_id("a".into())
        .with_type("t".into())
        .with_user_id("hr".into());
    let admitted = admitted(properties);
    assert_eq!(
        names(&admitted),
        ["number", "tenant", "traceparent", PUBLISHED_BY_HEADER]
    );
    assert!(headers(&admitted).contains(&(PUBLISHED_BY_HEADER.to_owned(), "\"hr\"".to_owned())));
    let successor = clean_headers(&admitted, vec![("x-offboarder-reason", text("poison"))]);
    assert_eq!(names(&successor).len(), 5);
    let list = BasicProperties::default()
        .with_content_type("application/json".into())
        .with_correlation_id("c-1".into())
        .with_message_id("m-1".into())
        .with_timestamp(7)
        .with_delivery_mode(2);
    assert_eq!(
        successor.with_headers(FieldTable::default()),
        list.with_headers(FieldTable::default())
    );
}

#[test]
fn headers_of_ours_are_believed_under_our_own_login_only() {
    let wait = || {
        of(vec![
            (WAIT_HEADER, AMQPValue::LongLongInt(1)),
            (PUBLISHED_BY_HEADER, text("hr")),
        ])
    };
    let ours = admitted(wait().with_user_id(WORKER.into()));
    assert_eq!(
        headers(&ours),
        [
            (WAIT_HEADER.to_owned(), "1".to_owned()),
            (PUBLISHED_BY_HEADER.to_owned(), "\"hr\"".to_owned())
        ]
    );
    assert_eq!(names(&admitted(wait())), [""; 0]);
    let hr = admitted(wait().with_user_id("ceo".into()));
    assert_eq!(
        headers(&hr),
        [(PUBLISHED_BY_HEADER.to_owned(), "\"ceo\"".to_owned())]
    );
    for publisher in [None, Some(WORKER)] {
        let properties = publisher.map_or_else(wait, |name| wait().with_user_id(name.into()));
        let mut delivery = message(properties, b"x");
        admit(&mut delivery, None);
        assert!(
            !names(&delivery.properties).contains(&WAIT_HEADER.to_owned()),
            "nobody's login is ours"
        );
    }
}

#[test]
fn a_delivery_count_is_the_brokers_at_a_redelivery_only() {
    for redelivered in [false, true] {
        let mut delivery = message(of(vec![(DELIVERY_COUNT, AMQPValue::LongInt(19))]), b"x");
        delivery.redelivered = redelivered;
        admit(&mut delivery, Some(WORKER));
        assert_eq!(
            names(&delivery.properties).contains(&DELIVERY_COUNT.to_owned()),
            redelivered
        );
        assert!(names(&clean_headers(&delivery.properties, Vec::new())).is_empty());
    }
}

#[test]
fn headers_as_deep_as_a_frame_allows_are_refused_on_a_small_stack() {
    let attack = || {
        let mut delivery = message(sent(&nested(26_000), b"c-1"), b"x");
        exhibit(&mut delivery, Some(WORKER));
        assert_eq!(
            headers(&delivery.properties),
            [("n".to_owned(), "[[[null]]]".to_owned())]
        );
        headers(&admitted(sent(&nested(26_000), b"c-1")))
    };
    let thread = std::thread::Builder::new()
        .stack_size(1024 * 1024)
        .spawn(attack)
        .unwrap();
    let why = "\"its headers are nested over 16 deep\"".to_owned();
    assert_eq!(thread.join().unwrap(), [(REFUSED_HEADER.to_owned(), why)]);
    assert!(
        names(&admitted(sent(&nested(16), b"c-1"))).is_empty(),
        "deep as others make them"
    );
}

#[test]
fn text_that_is_not_utf_8_ends_no_connection() {
    let properties = sent(b"\x02\xff\xfeS\x00\x00\x00\x01\xff", b"\xc3\x28\xff");
    assert_eq!(
        properties.correlation_id().as_ref().unwrap().as_str(),
        "?(?"
    );
    assert_eq!(names(&admitted(properties)), ["??"]);
    let longest = sent(b"", &[0xff; 255]);
    assert_eq!(
        longest.correlation_id().as_ref().unwrap().as_str().len(),
        255
    );
}

#[test]
fn many_or_long_headers_are_refused_and_leave_room_in_a_frame() {
    let long = of(vec![("h", text(&"x".repeat(130_900)))]);
    let refused = headers(&admitted(long));
    let why = "\"its headers have 130911 bytes, over 8192\"".to_owned();
    assert_eq!(refused, [(REFUSED_HEADER.to_owned(), why)]);
    let fits: Vec<(String, AMQPValue)> = (0..70)
        .map(|n| (format!("h{n}"), text(&"x".repeat(100))))
        .collect();
    let fits = fits
        .iter()
        .map(|(name, value)| (name.as_str(), value.clone()))
        .collect();
    let fits = admitted(of(fits));
    assert_eq!(names(&fits).len(), 70);
    let letter = clean_headers(&fits, vec![(letter::ERROR, text(&"x".repeat(4096)))]);
    let bytes = weight_of(letter.headers().as_ref().unwrap(), 1).unwrap();
    assert!(bytes < 16 * 1024, "{bytes}");
}

#[test]
fn a_body_over_the_limit_is_cut_and_says_how_large_it_was() {
    let mut delivery = message(BasicProperties::default(), &vec![b' '; MAX_BODY_BYTES + 1]);
    admit(&mut delivery, Some(WORKER));
    assert_eq!(delivery.data.len(), MAX_BODY_BYTES);
    assert_eq!(
        headers(&delivery.properties),
        [(
            REFUSED_HEADER.to_owned(),
            "\"its body has 262145 bytes, over 262144, and is cut to that\"".to_owned()
        )]
    );
}

#[test]
fn a_letter_that_the_broker_moved_does_not_say_what_its_publisher_wrote() {
    let death = || {
        AMQPValue::FieldArray(
            vec![AMQPValue::FieldTable(table(vec![("count", 1_i64.into())]))].into(),
        )
    };
    let forged = || {
        of(vec![
            (letter::REASON, text("protected_user")),
            ("x-death", death()),
            ("a", text("b")),
        ])
    };
    let seen = |properties: BasicProperties| {
        let mut delivery = message(properties, b"x");
        exhibit(&mut delivery, Some(WORKER));
        names(&delivery.properties)
    };
    assert_eq!(seen(forged()), ["a", "x-death"]);
    assert_eq!(
        seen(forged().with_user_id("hr".into())),
        ["a", "x-death", PUBLISHED_BY_HEADER]
    );
    assert_eq!(
        seen(forged().with_user_id(WORKER.into())),
        ["a", "x-death", letter::REASON]
    );
    assert_eq!(
        seen(of(vec![(letter::REASON, text("poison"))])),
        [letter::REASON],
        "of an earlier release"
    );
}

#[test]
fn parts_of_a_trace_are_short_and_plain() {
    let state = |value| names(&admitted(of(vec![("tracestate", value)]))).len();
    assert_eq!(state(text(&"x".repeat(512))), 1);
    for value in [
        text(&"x".repeat(513)),
        text("a=b\u{1b}[2J"),
        text("ü"),
        AMQPValue::LongInt(1),
    ] {
        assert_eq!(state(value.clone()), 0, "{value:?}");
    }
}
