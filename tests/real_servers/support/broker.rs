//! RabbitMQ as any other client sees it.

use lapin::options::{BasicGetOptions, QueueBindOptions, QueueDeclareOptions, QueueDeleteOptions};
use lapin::protocol::{AMQPErrorKind, AMQPSoftError};
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties, ErrorKind};
use serde_json::{Map, Value, json};

use super::runtime::block_on;

/// Messages ready in a queue; nothing when there is no such queue.
pub(crate) fn depth(url: &str, queue: &str) -> Option<u64> {
    with_channel(url, async |channel| {
        let passive = QueueDeclareOptions {
            passive: true,
            ..QueueDeclareOptions::default()
        };
        let declared = channel
            .queue_declare(queue.into(), passive, FieldTable::default())
            .await;

        match declared {
            Ok(found) => Some(u64::from(found.message_count())),
            Err(error) if is_not_found(&error) => None,
            Err(error) => panic!("{queue}: {error}"),
        }
    })
}

fn is_not_found(error: &lapin::Error) -> bool {
    matches!(error.kind(), ErrorKind::ProtocolError(error)
        if *error.kind() == AMQPErrorKind::Soft(AMQPSoftError::NOTFOUND))
}

/// All messages in a queue. What is fetched and not acknowledged returns when the channel closes.
pub(crate) fn messages(url: &str, queue: &str) -> Vec<Value> {
    with_channel(url, async |channel| {
        let mut found = Vec::new();
        loop {
            let got = channel
                .basic_get(queue.into(), BasicGetOptions::default())
                .await;
            let Some(message) = got.unwrap_or_else(|error| panic!("{queue}: {error}")) else {
                return found;
            };

            found.push(json!({
                "body": String::from_utf8_lossy(&message.data),
                "headers": message.properties.headers().as_ref().map_or(json!({}), table),
                "properties": properties(&message.properties),
                "exchange": message.exchange.as_str(),
                "routingKey": message.routing_key.as_str(),
            }));
        }
    })
}

/// Declares a quorum queue that gets every result event.
pub(crate) fn declare_results_queue(url: &str, queue: &str) {
    with_channel(url, async |channel| {
        let mut quorum = FieldTable::default();
        quorum.insert(
            "x-queue-type".into(),
            AMQPValue::LongString("quorum".into()),
        );
        declare(channel, queue, quorum).await;
        channel
            .queue_bind(
                queue.into(),
                "offboarding.events".into(),
                "#".into(),
                QueueBindOptions::default(),
                FieldTable::default(),
            )
            .await
            .expect("the queue is bound");
    });
}

/// Declares a durable classic queue.
pub(crate) fn declare_classic_queue(url: &str, queue: &str) {
    with_channel(url, async |channel| {
        declare(channel, queue, FieldTable::default()).await;
    });
}

/// Deletes a queue with all messages in it.
pub(crate) fn delete_queue(url: &str, queue: &str) {
    with_channel(url, async |channel| {
        channel
            .queue_delete(queue.into(), QueueDeleteOptions::default())
            .await
            .expect("the queue is deleted");
    });
}

/// Whether the broker lets us in.
pub(crate) fn let_in(url: &str) -> Result<(), String> {
    block_on(async {
        let connecting = Connection::connect(url, ConnectionProperties::default());
        let connection = connecting.await.map_err(|error| error.to_string())?;
        let closed = connection.close(200, "done".into()).await;
        closed.map_err(|error| error.to_string())
    })
}

async fn declare(channel: &Channel, queue: &str, arguments: FieldTable) {
    let durable = QueueDeclareOptions {
        durable: true,
        ..QueueDeclareOptions::default()
    };
    channel
        .queue_declare(queue.into(), durable, arguments)
        .await
        .expect("the queue is declared");
}

/// Does something on a connection of its own, and returns once that is closed.
fn with_channel<T>(url: &str, act: impl AsyncFnOnce(&Channel) -> T) -> T {
    block_on(async {
        let connection = Connection::connect(url, ConnectionProperties::default())
            .await
            .expect("RabbitMQ lets us in");
        let channel = connection.create_channel().await.expect("a channel");
        let answer = act(&channel).await;
        connection
            .close(200, "done".into())
            .await
            .expect("the connection closes");
        answer
    })
}

/// The properties that are set, by their AMQP names.
fn properties(properties: &BasicProperties) -> Map<String, Value> {
    let text = |value: &Option<ShortString>| value.as_ref().map(|value| json!(value.as_str()));
    [
        ("content_type", text(properties.content_type())),
        ("content_encoding", text(properties.content_encoding())),
        ("delivery_mode", properties.delivery_mode().map(Value::from)),
        ("priority", properties.priority().map(Value::from)),
        ("correlation_id", text(properties.correlation_id())),
        ("reply_to", text(properties.reply_to())),
        ("expiration", text(properties.expiration())),
        ("message_id", text(properties.message_id())),
        ("timestamp", properties.timestamp().map(Value::from)),
        ("type", text(properties.kind())),
        ("user_id", text(properties.user_id())),
        ("app_id", text(properties.app_id())),
        ("cluster_id", text(properties.cluster_id())),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some((name.to_owned(), value?)))
    .collect()
}

fn table(table: &FieldTable) -> Value {
    let members = table.inner().iter();
    members
        .map(|(name, value)| (name.to_string(), plain(value)))
        .collect::<Map<_, _>>()
        .into()
}

/// A header as JSON.
fn plain(value: &AMQPValue) -> Value {
    match value {
        AMQPValue::Boolean(value) => json!(value),
        AMQPValue::ShortShortInt(value) => json!(value),
        AMQPValue::ShortShortUInt(value) => json!(value),
        AMQPValue::ShortInt(value) => json!(value),
        AMQPValue::ShortUInt(value) => json!(value),
        AMQPValue::LongInt(value) => json!(value),
        AMQPValue::LongUInt(value) => json!(value),
        AMQPValue::LongLongInt(value) => json!(value),
        AMQPValue::Timestamp(value) => json!(value),
        AMQPValue::Float(value) => json!(value),
        AMQPValue::Double(value) => json!(value),
        AMQPValue::DecimalValue(value) => json!(format!("{value:?}")),
        AMQPValue::ShortString(value) => json!(value.as_str()),
        AMQPValue::LongString(value) => json!(String::from_utf8_lossy(value.as_bytes())),
        AMQPValue::FieldArray(values) => values.as_slice().iter().map(plain).collect(),
        AMQPValue::FieldTable(members) => table(members),
        AMQPValue::ByteArray(bytes) => json!(String::from_utf8_lossy(bytes.as_slice())),
        AMQPValue::Void => Value::Null,
    }
}
