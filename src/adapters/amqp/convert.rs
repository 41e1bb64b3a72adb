//! Messages from the client library's types into ours, and back.

use async_trait::async_trait;
use lapin::options::BasicAckOptions;
use lapin::types::{AMQPValue, DecimalValue, FieldArray, FieldTable, ShortString};
use lapin::{Acker, BasicProperties};

use super::error::queue_error;
use crate::failpoint::effect;
use crate::ports::queue::{Delivery, Receipt};
use crate::queue::{Envelope, HeaderValue, Incoming, Properties, QueueError};

/// RabbitMQ writes a message with this mode to disk.
const PERSISTENT: u8 = 2;

/// What the broker delivered, and what acknowledges it.
pub(super) fn delivery(
    delivered: lapin::message::Delivery,
    admit: impl FnOnce(Incoming) -> Envelope,
) -> Delivery {
    let incoming = Incoming {
        exchange: delivered.exchange.to_string(),
        routing_key: delivered.routing_key.to_string(),
        redelivered: delivered.redelivered,
        properties: from_amqp(&delivered.properties),
        body: delivered.data,
    };
    Delivery::new(admit(incoming), Box::new(AmqpReceipt(delivered.acker)))
}

struct AmqpReceipt(Acker);

#[async_trait]
impl Receipt for AmqpReceipt {
    async fn acknowledge(&self) -> Result<(), QueueError> {
        let acknowledging = self.0.ack(BasicAckOptions::default());
        match effect("the acknowledgement", acknowledging).await {
            Ok(true) => Ok(()),
            Ok(false) => {
                tracing::warn!(
                    "an acknowledgement came too late: RabbitMQ delivers the message again, and the next run finds its work done"
                );
                Ok(())
            }
            Err(error) => Err(queue_error(&error, "acknowledge")),
        }
    }

    fn is_usable(&self) -> bool {
        self.0.usable()
    }
}

fn from_amqp(properties: &BasicProperties) -> Properties {
    let text = |value: &Option<ShortString>| value.as_ref().map(ToString::to_string);
    let headers = properties.headers().iter().flat_map(FieldTable::inner);
    Properties {
        headers: headers
            .map(|(name, value)| (name.to_string(), from_value(value)))
            .collect(),
        content_type: text(properties.content_type()),
        content_encoding: text(properties.content_encoding()),
        correlation_id: text(properties.correlation_id()),
        reply_to: text(properties.reply_to()),
        message_id: text(properties.message_id()),
        timestamp: *properties.timestamp(),
        kind: text(properties.kind()),
        user_id: text(properties.user_id()),
        app_id: text(properties.app_id()),
    }
}

/// Recurses as deep as the value: `vendor/amq-protocol-types` reads no more than 32 levels.
fn from_value(value: &AMQPValue) -> HeaderValue {
    match value {
        AMQPValue::Void => HeaderValue::Void,
        AMQPValue::Boolean(value) => HeaderValue::Bool(*value),
        AMQPValue::ShortShortInt(value) => HeaderValue::I8(*value),
        AMQPValue::ShortShortUInt(value) => HeaderValue::U8(*value),
        AMQPValue::ShortInt(value) => HeaderValue::I16(*value),
        AMQPValue::ShortUInt(value) => HeaderValue::U16(*value),
        AMQPValue::LongInt(value) => HeaderValue::I32(*value),
        AMQPValue::LongUInt(value) => HeaderValue::U32(*value),
        AMQPValue::LongLongInt(value) => HeaderValue::I64(*value),
        AMQPValue::Float(value) => HeaderValue::F32(*value),
        AMQPValue::Double(value) => HeaderValue::F64(*value),
        AMQPValue::DecimalValue(value) => HeaderValue::Decimal {
            scale: value.scale,
            value: value.value,
        },
        AMQPValue::ShortString(value) => HeaderValue::ShortText(value.to_string()),
        AMQPValue::LongString(value) => HeaderValue::Text(value.as_bytes().to_vec()),
        AMQPValue::ByteArray(value) => HeaderValue::Bytes(value.as_slice().to_vec()),
        AMQPValue::Timestamp(seconds) => HeaderValue::Timestamp(*seconds),
        AMQPValue::FieldArray(values) => {
            HeaderValue::Array(values.as_slice().iter().map(from_value).collect())
        }
        AMQPValue::FieldTable(table) => HeaderValue::Table(
            table
                .inner()
                .iter()
                .map(|(name, value)| (name.to_string(), from_value(value)))
                .collect(),
        ),
    }
}

pub(super) fn to_amqp(properties: &Properties) -> BasicProperties {
    let mut amqp = BasicProperties::default()
        .with_delivery_mode(PERSISTENT)
        .with_headers(to_table(&properties.headers));
    macro_rules! carry {
        ($($field:ident => $with:ident),*) => {
            $(if let Some(value) = &properties.$field {
                amqp = amqp.$with(value.as_str().into());
            })*
        };
    }
    carry!(content_type => with_content_type, content_encoding => with_content_encoding,
        correlation_id => with_correlation_id, reply_to => with_reply_to, message_id => with_message_id,
        kind => with_type, user_id => with_user_id, app_id => with_app_id);

    match properties.timestamp {
        Some(seconds) => amqp.with_timestamp(seconds),
        None => amqp,
    }
}

fn to_table<'a>(headers: impl IntoIterator<Item = (&'a String, &'a HeaderValue)>) -> FieldTable {
    let mut table = FieldTable::default();
    for (name, value) in headers {
        table.insert(name.as_str().into(), to_value(value));
    }
    table
}

fn to_value(value: &HeaderValue) -> AMQPValue {
    match value {
        HeaderValue::Void => AMQPValue::Void,
        HeaderValue::Bool(value) => AMQPValue::Boolean(*value),
        HeaderValue::I8(value) => AMQPValue::ShortShortInt(*value),
        HeaderValue::U8(value) => AMQPValue::ShortShortUInt(*value),
        HeaderValue::I16(value) => AMQPValue::ShortInt(*value),
        HeaderValue::U16(value) => AMQPValue::ShortUInt(*value),
        HeaderValue::I32(value) => AMQPValue::LongInt(*value),
        HeaderValue::U32(value) => AMQPValue::LongUInt(*value),
        HeaderValue::I64(value) => AMQPValue::LongLongInt(*value),
        HeaderValue::F32(value) => AMQPValue::Float(*value),
        HeaderValue::F64(value) => AMQPValue::Double(*value),
        HeaderValue::Decimal { scale, value } => AMQPValue::DecimalValue(DecimalValue {
            scale: *scale,
            value: *value,
        }),
        HeaderValue::ShortText(text) => AMQPValue::ShortString(text.as_str().into()),
        HeaderValue::Text(bytes) => AMQPValue::LongString(bytes.as_slice().into()),
        HeaderValue::Bytes(bytes) => AMQPValue::ByteArray(bytes.clone().into()),
        HeaderValue::Timestamp(seconds) => AMQPValue::Timestamp(*seconds),
        HeaderValue::Array(values) => {
            let mut array = FieldArray::default();
            for value in values {
                array.push(to_value(value));
            }
            AMQPValue::FieldArray(array)
        }
        HeaderValue::Table(table) => AMQPValue::FieldTable(to_table(table)),
    }
}

#[cfg(any(test, fuzzing))]
#[path = "convert_checks.rs"]
mod checks;
#[cfg(any(test, fuzzing))]
pub(crate) use checks::admits;

#[cfg(test)]
#[path = "convert_tests.rs"]
mod tests;
