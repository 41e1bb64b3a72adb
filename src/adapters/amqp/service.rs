//! Whether RabbitMQ takes messages and gives them, as far as a client can see it.

use std::time::Duration;

use lapin::options::{BasicGetOptions, BasicPublishOptions, ConfirmSelectOptions};
use lapin::{BasicProperties, Connection, ErrorKind};

use super::alarm::blocked;
use super::error::{publishing_error, queue_error};
use super::login::NOBODYS_KEY;
use crate::queue::QueueError;
use crate::queue::names::{DEAD_LETTER_QUEUE, JOBS_EXCHANGE};

/// RabbitMQ itself gives up on a queue without a majority after 5 s.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
const NOT_FOUND: u16 = 404;

/// An alarm lets the first message of a connection pass, and its confirm may come before the news of the alarm. It reads
/// no second one.
const MESSAGES_THAT_SHOW_AN_ALARM: usize = 2;

/// Which alarm blocks publishers: `low on memory`, `low on disk`. RabbitMQ says so only to a connection that publishes,
/// and then reads nothing more from it: this one is of no more use afterwards.
pub(super) async fn alarm_of(connection: &Connection) -> Result<Option<String>, QueueError> {
    let what = "take a message that no queue wants";
    let publishing = async {
        let channel = connection.create_channel().await?;
        channel
            .confirm_select(ConfirmSelectOptions::default())
            .await?;
        for _message in 0..MESSAGES_THAT_SHOW_AN_ALARM {
            channel
                .basic_publish(
                    JOBS_EXCHANGE.into(),
                    NOBODYS_KEY.into(),
                    BasicPublishOptions::default(),
                    b"",
                    BasicProperties::default(),
                )
                .await?
                .await?;
        }
        Ok(())
    };
    tokio::select! {
        reason = blocked(connection) => Ok(Some(reason)),
        answered = tokio::time::timeout(ANSWER_WITHIN, publishing) => match answered {
            Ok(Ok(())) => Ok(None),
            Ok(Err(error)) => Err(publishing_error(&error, JOBS_EXCHANGE, NOBODYS_KEY)),
            Err(_elapsed) => Err(silent(what)),
        },
    }
}

/// Whether a queue of ours can be read, which needs a majority of its nodes. A dead letter that comes goes back.
pub(super) async fn read_dead_letters(connection: &Connection) -> Result<(), QueueError> {
    let what = format!("read {DEAD_LETTER_QUEUE}");
    let reading = async {
        let channel = connection.create_channel().await?;
        let options = BasicGetOptions::default();
        channel.basic_get(DEAD_LETTER_QUEUE.into(), options).await?;
        channel.close(200, "done".into()).await
    };
    match tokio::time::timeout(ANSWER_WITHIN, reading).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) if is_missing(&error) => Ok(()),
        Ok(Err(error)) => Err(queue_error(&error, &what)),
        Err(_elapsed) => Err(silent(&what)),
    }
}

/// Another finding says that.
fn is_missing(error: &lapin::Error) -> bool {
    matches!(error.kind(), ErrorKind::ProtocolError(answer) if answer.get_id() == NOT_FOUND)
}

fn silent(what: &str) -> QueueError {
    QueueError::Broken {
        what: what.to_owned(),
        why: format!("no answer within {} s", ANSWER_WITHIN.as_secs()),
    }
}
