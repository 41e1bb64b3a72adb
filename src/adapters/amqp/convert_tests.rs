use lapin::protocol::basic::parse_properties;

use super::*;
use crate::queue::headers::REFUSED;
use crate::queue::{admit, admit_dead_letter};

const WORKER: &str = "offboarder-worker";

fn incoming(properties: Properties) -> Incoming {
    Incoming {
        exchange: "offboarding".to_owned(),
        routing_key: "users".to_owned(),
        redelivered: false,
        properties,
        body: b"x".to_vec(),
    }
}

fn headers(properties: &Properties) -> Vec<(String, String)> {
    let headers = properties.headers.iter();
    headers
        .map(|(name, value)| (name.clone(), value.to_json().to_string()))
        .collect()
}

fn admitted(properties: Properties) -> Vec<(String, String)> {
    headers(&admit(incoming(properties), Some(WORKER)).properties)
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
fn sent(entries: &[u8], correlation_id: &[u8]) -> Properties {
    let mut bytes = vec![0x24, 0];
    bytes.extend(u32::try_from(entries.len()).unwrap().to_be_bytes());
    bytes.extend(entries);
    bytes.push(u8::try_from(correlation_id.len()).unwrap());
    bytes.extend(correlation_id);
    let (rest, properties) = parse_properties(bytes.as_slice()).unwrap();
    assert!(rest.is_empty());
    from_amqp(&properties)
}

#[test]
fn every_type_of_header_and_every_property_passes_through_unchanged() {
    let table = [("a".to_owned(), HeaderValue::Void)].into();
    let values = [
        HeaderValue::Void,
        HeaderValue::Bool(true),
        HeaderValue::I8(-8),
        HeaderValue::U8(8),
        HeaderValue::I16(-16),
        HeaderValue::U16(16),
        HeaderValue::I32(-32),
        HeaderValue::U32(32),
        HeaderValue::I64(-64),
        HeaderValue::F32(3.2),
        HeaderValue::F64(6.4),
        HeaderValue::Decimal { scale: 2, value: 7 },
        HeaderValue::ShortText("short".to_owned()),
        HeaderValue::Text(vec![0xff, b'x']),
        HeaderValue::Bytes(vec![0, 1]),
        HeaderValue::Timestamp(7),
        HeaderValue::Array(vec!["a".into(), HeaderValue::Void]),
        HeaderValue::Table(table),
    ];
    let names = (0..).map(|number| format!("h{number}"));
    let text = |text: &str| Some(text.to_owned());
    let properties = Properties {
        headers: names.zip(values).collect(),
        content_type: text("application/json"),
        content_encoding: text("gzip"),
        correlation_id: text("c-1"),
        reply_to: text("r"),
        message_id: text("m-1"),
        timestamp: Some(7),
        kind: text("t"),
        user_id: text("hr"),
        app_id: text("a"),
    };
    let amqp = to_amqp(&properties);
    assert_eq!(from_amqp(&amqp), properties);
    assert_eq!(*amqp.delivery_mode(), Some(PERSISTENT));
}

#[test]
fn a_property_that_would_change_what_the_broker_does_is_not_taken_over() {
    let foreign = BasicProperties::default()
        .with_expiration("1000".into())
        .with_priority(9)
        .with_cluster_id("c".into())
        .with_delivery_mode(1);
    let persistent = BasicProperties::default()
        .with_headers(FieldTable::default())
        .with_delivery_mode(PERSISTENT);
    assert_eq!(to_amqp(&from_amqp(&foreign)), persistent);
}

#[test]
fn headers_as_deep_as_a_frame_allows_are_refused_on_a_small_stack() {
    let attack = || {
        let shown = admit_dead_letter(incoming(sent(&nested(26_000), b"c-1")), Some(WORKER));
        assert_eq!(
            headers(&shown.properties),
            [("n".to_owned(), "[[[null]]]".to_owned())]
        );
        admitted(sent(&nested(26_000), b"c-1"))
    };
    let thread = std::thread::Builder::new()
        .stack_size(1024 * 1024)
        .spawn(attack)
        .unwrap();
    let why = "\"its headers are nested over 16 deep\"".to_owned();
    assert_eq!(thread.join().unwrap(), [(REFUSED.to_owned(), why)]);
    assert!(
        admitted(sent(&nested(16), b"c-1")).is_empty(),
        "deep as others make them"
    );
}

#[test]
fn text_that_is_not_utf_8_ends_no_connection() {
    let properties = sent(b"\x02\xff\xfeS\x00\x00\x00\x01\xff", b"\xc3\x28\xff");
    assert_eq!(properties.correlation_id.as_deref(), Some("?(?"));
    let names: Vec<_> = admitted(properties)
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    assert_eq!(names, ["??"]);

    let longest = sent(b"", &[0xff; 255]);
    assert_eq!(longest.correlation_id.unwrap().len(), 255);
}
