use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable, ShortString};
use serde_json::{Map, Value, json};

/// The headers that make a message a dead letter; the first six are the contract's.
pub mod letter {
    /// Why it was given up: a [`crate::failure::Reason`].
    pub const REASON: &str = "x-offboarder-reason";
    /// The last failure, for people.
    pub const ERROR: &str = "x-offboarder-error";
    /// The last completed state; empty when it is not known.
    pub const STATE: &str = "x-offboarder-state";
    /// Attempts that were spent.
    pub const ATTEMPTS: &str = "x-offboarder-attempts";
    /// When, RFC 3339.
    pub const AT: &str = "x-offboarder-dead-lettered-at";
    /// Who wrote the letter.
    pub const WORKER: &str = "x-offboarder-worker";
    /// The [`crate::failure::Code`] of the last failure, if it has one.
    pub const CODE: &str = "x-offboarder-code";
    /// The step that failed; empty when it is not known.
    pub const STEP: &str = "x-offboarder-step";
    /// How often this job was replayed. It stays on the message, and so on the next letter.
    pub const REPLAYS: &str = "x-offboarder-replays";
}

/// What a letter says of its end, which a replay of it no longer says.
const LETTER_ALONE: [&str; 8] = [
    letter::REASON,
    letter::ERROR,
    letter::STATE,
    letter::ATTEMPTS,
    letter::AT,
    letter::WORKER,
    letter::CODE,
    letter::STEP,
];

/// Headers to add to a message that is published anew.
pub type Headers = Vec<(&'static str, AMQPValue)>;

/// The properties of a delivery, for publishing it anew: everything kept but the broker's own trace
/// of dead-lettering (republished, it sets off the broker's detection of cycles) and the headers of
/// an earlier wait; `added` on top.
pub fn clean_headers(properties: &BasicProperties, added: Headers) -> BasicProperties {
    let mut headers = FieldTable::default();
    let broker_own = |name: &str| {
        name.starts_with("x-death")
            || name.starts_with("x-first-")
            || name.starts_with("x-last-")
            || name == "x-delivery-count"
            || name == super::WAIT_HEADER
            || name == super::WAIT_LEFT_HEADER
            || name == super::DEATHS_HEADER
    };
    if let Some(old) = properties.headers() {
        for (name, value) in old.inner() {
            if !broker_own(name.as_str()) {
                headers.insert(name.clone(), value.clone());
            }
        }
    }
    for (name, value) in added {
        headers.insert(ShortString::from(name), value);
    }
    // An expiry of the publisher's would drop the job behind our back.
    let mut kept = properties.clone().with_headers(headers).with_delivery_mode(2);
    if kept.expiration().is_some() {
        kept = without_expiration(&kept);
    }
    kept
}

/// The properties of an event about the job of a delivery: the trace goes on, below the delivery where that has a
/// span; the rest is the event's own.
pub fn event_properties(properties: &BasicProperties, id: &str) -> BasicProperties {
    let mut headers = FieldTable::default();
    let trace = properties.headers().iter().flat_map(FieldTable::inner);
    for (name, value) in trace.filter(|(name, _)| matches!(name.as_str(), "traceparent" | "tracestate")) {
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
pub fn without_letter(properties: &BasicProperties, added: Headers) -> BasicProperties {
    let mut headers = FieldTable::default();
    for (name, value) in properties.headers().iter().flat_map(FieldTable::inner) {
        if !LETTER_ALONE.contains(&name.as_str()) {
            headers.insert(name.clone(), value.clone());
        }
    }
    clean_headers(&properties.clone().with_headers(headers), added)
}

/// Headers and properties as JSON has them.
pub fn plain_properties(properties: &BasicProperties) -> (Value, Value) {
    let headers = properties.headers().iter().flat_map(FieldTable::inner);
    let headers: Map<String, Value> = headers.map(|(name, value)| (name.to_string(), plain(value))).collect();
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
pub fn plain(value: &AMQPValue) -> Value {
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
        AMQPValue::FieldTable(table) => {
            table.inner().iter().map(|(name, value)| (name.to_string(), plain(value))).collect()
        }
        AMQPValue::ByteArray(bytes) => Value::from(String::from_utf8_lossy(bytes.as_slice())),
        AMQPValue::Void => Value::Null,
    }
}

/// A header value.
pub fn text(value: &str) -> AMQPValue {
    AMQPValue::LongString(value.into())
}

/// A header value.
pub const fn long(value: i64) -> AMQPValue {
    AMQPValue::LongLongInt(value)
}

/// A header value that is a whole number, however wide the publisher made it.
pub fn as_long(value: &AMQPValue) -> Option<i64> {
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

fn without_expiration(properties: &BasicProperties) -> BasicProperties {
    let mut copy = BasicProperties::default().with_delivery_mode(2);
    macro_rules! carry {
        ($($get:ident => $with:ident),*) => {
            $(if let Some(value) = properties.$get().clone() { copy = copy.$with(value); })*
        };
    }
    carry!(content_type => with_content_type, content_encoding => with_content_encoding,
        headers => with_headers, priority => with_priority, correlation_id => with_correlation_id,
        reply_to => with_reply_to, message_id => with_message_id, timestamp => with_timestamp,
        kind => with_type, app_id => with_app_id);
    copy
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_publishers_headers_stay_and_the_brokers_go() {
        let mut headers = FieldTable::default();
        for name in
            ["x-death", "x-first-death-queue", "x-last-death-reason", "x-delivery-count", "traceparent"]
        {
            headers.insert(name.into(), AMQPValue::Boolean(true));
        }
        let properties = BasicProperties::default()
            .with_headers(headers)
            .with_message_id("m-1".into())
            .with_expiration("1000".into());
        let cleaned = clean_headers(&properties, vec![("x-offboarder-reason", AMQPValue::Boolean(true))]);
        let names: Vec<_> =
            cleaned.headers().as_ref().unwrap().inner().keys().map(ToString::to_string).collect();
        assert_eq!(names, ["traceparent", "x-offboarder-reason"]);
        assert_eq!(cleaned.message_id().as_ref().unwrap().as_str(), "m-1");
        assert_eq!(cleaned.expiration(), &None);
        assert_eq!(cleaned.delivery_mode(), &Some(2));
    }
}
