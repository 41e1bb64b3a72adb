use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable, ShortString};
use serde_json::{Map, Value, json};

use super::clean_headers;
use super::topology::REFUSED_HEADER;

/// The headers that make a message a dead letter; the first six are the contract's.
pub(crate) mod letter {
    /// Why it was given up: a [`crate::failure::Reason`].
    pub(crate) const REASON: &str = "x-offboarder-reason";
    /// The last failure, for people.
    pub(crate) const ERROR: &str = "x-offboarder-error";
    /// The last completed state; empty when it is not known.
    pub(crate) const STATE: &str = "x-offboarder-state";
    pub(crate) const ATTEMPTS: &str = "x-offboarder-attempts";
    pub(crate) const AT: &str = "x-offboarder-dead-lettered-at";
    pub(crate) const WORKER: &str = "x-offboarder-worker";
    /// The [`crate::failure::Code`] of the last failure, if it has one.
    pub(crate) const CODE: &str = "x-offboarder-code";
    /// The step that failed; empty when it is not known.
    pub(crate) const STEP: &str = "x-offboarder-step";
    /// How often this job was replayed. It stays on the message, and so on the next letter.
    pub(crate) const REPLAYS: &str = "x-offboarder-replays";
}

/// What a dead letter says of its end, which a replay of it no longer says.
const LETTER_ALONE: [&str; 9] = [
    letter::REASON,
    letter::ERROR,
    letter::STATE,
    letter::ATTEMPTS,
    letter::AT,
    letter::WORKER,
    letter::CODE,
    letter::STEP,
    REFUSED_HEADER,
];

/// Headers to add to a message that is published anew.
pub(crate) type Headers = Vec<(&'static str, AMQPValue)>;

/// The properties of an event about the job of a delivery: the trace goes on, below the delivery where that has a
/// span; the rest is the event's own.
pub(crate) fn event_properties(properties: &BasicProperties, id: &str) -> BasicProperties {
    let allowed = clean_headers(properties, Vec::new());
    let mut headers = FieldTable::default();
    let trace = allowed.headers().iter().flat_map(FieldTable::inner);
    for (name, value) in
        trace.filter(|(name, _)| matches!(name.as_str(), "traceparent" | "tracestate"))
    {
        headers.insert(name.clone(), value.clone());
    }
    for (name, value) in super::following() {
        headers.insert(ShortString::from(name), value);
    }
    let mut event = BasicProperties::default()
        .with_headers(headers)
        .with_message_id(id.into())
        .with_content_type("application/cloudevents+json".into())
        .with_delivery_mode(2);
    if let Some(correlation_id) = properties.correlation_id() {
        event = event.with_correlation_id(correlation_id.clone());
    }
    event
}

/// The properties of a dead letter as those of the message that it was, `added` on top.
pub(crate) fn without_letter(properties: &BasicProperties, added: Headers) -> BasicProperties {
    let mut headers = FieldTable::default();
    for (name, value) in properties.headers().iter().flat_map(FieldTable::inner) {
        if !LETTER_ALONE.contains(&name.as_str()) {
            headers.insert(name.clone(), value.clone());
        }
    }
    clean_headers(&properties.clone().with_headers(headers), added)
}

/// Headers and properties as JSON has them.
pub(crate) fn plain_properties(properties: &BasicProperties) -> (Value, Value) {
    let headers = properties.headers().iter().flat_map(FieldTable::inner);
    let headers: Map<String, Value> = headers
        .map(|(name, value)| (name.to_string(), plain(value)))
        .collect();
    let text = |value: &Option<ShortString>| value.as_ref().map(ToString::to_string);
    let others = json!({
        "contentType": text(properties.content_type()),
        "contentEncoding": text(properties.content_encoding()),
        "correlationId": text(properties.correlation_id()),
        "replyTo": text(properties.reply_to()),
        "messageId": text(properties.message_id()),
        "timestamp": properties.timestamp(),
        "type": text(properties.kind()),
        "userId": text(properties.user_id()),
        "appId": text(properties.app_id()),
    });
    (Value::Object(headers), others)
}

/// A header as JSON has it. Bytes that are no text are told as far as they are.
pub(crate) fn plain(value: &AMQPValue) -> Value {
    match value {
        AMQPValue::Boolean(value) => Value::from(*value),
        AMQPValue::ShortShortInt(value) => Value::from(*value),
        AMQPValue::ShortShortUInt(value) => Value::from(*value),
        AMQPValue::ShortInt(value) => Value::from(*value),
        AMQPValue::ShortUInt(value) => Value::from(*value),
        AMQPValue::LongInt(value) => Value::from(*value),
        AMQPValue::LongUInt(value) => Value::from(*value),
        AMQPValue::LongLongInt(value) => Value::from(*value),
        AMQPValue::Float(value) => Value::from(*value),
        AMQPValue::Double(value) => Value::from(*value),
        AMQPValue::DecimalValue(value) => Value::from(format!("{}e-{}", value.value, value.scale)),
        AMQPValue::ShortString(value) => Value::from(value.as_str()),
        AMQPValue::LongString(value) => Value::from(String::from_utf8_lossy(value.as_bytes())),
        AMQPValue::FieldArray(values) => values.as_slice().iter().map(plain).collect(),
        AMQPValue::Timestamp(seconds) => Value::from(*seconds),
        AMQPValue::FieldTable(table) => table
            .inner()
            .iter()
            .map(|(name, value)| (name.to_string(), plain(value)))
            .collect(),
        AMQPValue::ByteArray(bytes) => Value::from(String::from_utf8_lossy(bytes.as_slice())),
        AMQPValue::Void => Value::Null,
    }
}

pub(crate) fn text(value: &str) -> AMQPValue {
    AMQPValue::LongString(value.into())
}

pub(crate) const fn long(value: i64) -> AMQPValue {
    AMQPValue::LongLongInt(value)
}

/// A header value that is a whole number, however wide the publisher made it.
pub(crate) fn as_long(value: &AMQPValue) -> Option<i64> {
    match value {
        AMQPValue::LongLongInt(value) => Some(*value),
        AMQPValue::LongInt(value) => Some(i64::from(*value)),
        AMQPValue::LongUInt(value) => Some(i64::from(*value)),
        AMQPValue::ShortInt(value) => Some(i64::from(*value)),
        AMQPValue::ShortUInt(value) => Some(i64::from(*value)),
        AMQPValue::ShortShortInt(value) => Some(i64::from(*value)),
        AMQPValue::ShortShortUInt(value) => Some(i64::from(*value)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use lapin::types::FieldArray;

    use super::*;

    #[test]
    fn an_event_has_the_trace_of_its_job_and_nothing_else_of_the_publisher() {
        let mut headers = FieldTable::default();
        for (name, value) in [
            ("traceparent", text("00-1-2-01")),
            ("tracestate", AMQPValue::FieldArray(FieldArray::default())),
            ("tenant", text("emea")),
        ] {
            headers.insert(name.into(), value);
        }
        let properties = BasicProperties::default()
            .with_headers(headers)
            .with_reply_to("somewhere".into())
            .with_correlation_id("c-1".into());
        let event = event_properties(&properties, "e-1");
        let names: Vec<_> = event
            .headers()
            .as_ref()
            .unwrap()
            .inner()
            .keys()
            .map(ToString::to_string)
            .collect();
        assert_eq!(names, ["traceparent"]);
        assert_eq!(event.correlation_id().as_ref().unwrap().as_str(), "c-1");
        assert_eq!(event.reply_to(), &None);
    }
}
