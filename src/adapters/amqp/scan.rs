use std::time::Duration;

use async_trait::async_trait;
use futures_util::StreamExt as _;
use lapin::options::{BasicCancelOptions, BasicConsumeOptions, BasicGetOptions, BasicQosOptions};
use lapin::types::FieldTable;
use lapin::{Channel, Connection, Consumer};

use super::connection::Connector;
use super::convert::delivery;
use super::error::queue_error;
use crate::ports::queue::{Delivery, QueueScan};
use crate::queue::names::DEAD_LETTER_QUEUE;
use crate::queue::{QueueError, admit_dead_letter};

/// One scan of the dead-letter queue: takes its messages, and lets the broker requeue what was not acknowledged when
/// the connection closes. It bounds the memory and ends although others publish, consume or scan at the same time.
pub(super) struct DeadLetterScan {
    connection: Connection,
    login: Option<String>,
    /// Gets messages one by one: slow, but the broker says when there is none.
    getting: Channel,
    page: Option<Page>,
    /// Pages that take no more: their channels hold what came over them.
    used: Vec<Page>,
    /// How many messages may be left; `None` before the first answer.
    left: Option<u32>,
}

/// What the broker pushes: as many messages at a time as may be in memory. A channel of its own, since the messages in
/// flight use up its prefetch.
struct Page {
    channel: Channel,
    consumer: Consumer,
    left: u16,
}

/// Messages in memory, and on their way to it. RabbitMQ counts them and not their bytes, and each may have 1 MiB.
const PAGE: u16 = 200;
/// After this time without a message we ask the broker whether there is any.
const SILENCE: Duration = Duration::from_millis(500);

fn failed(error: &lapin::Error) -> QueueError {
    queue_error(error, &format!("read {DEAD_LETTER_QUEUE}"))
}

impl DeadLetterScan {
    pub(super) async fn open(connector: &Connector) -> Result<Self, QueueError> {
        let connection = connector.connect("dead letters").await?;
        let getting = connection
            .create_channel()
            .await
            .map_err(|error| failed(&error))?;
        Ok(Self {
            connection,
            login: connector.login().await?,
            getting,
            page: None,
            used: Vec::new(),
            left: None,
        })
    }

    async fn take(&mut self) -> Result<Option<lapin::message::Delivery>, QueueError> {
        let Some(left) = self.left else {
            return self.get().await;
        };
        if left == 0 {
            return Ok(None);
        }
        let mut page = match self.page.take() {
            Some(page) if page.left > 0 => page,
            full => {
                if let Some(full) = full {
                    self.stop(full).await?;
                }
                let count = u16::try_from(left).unwrap_or(PAGE).min(PAGE);
                self.fetch(count).await?
            }
        };

        match tokio::time::timeout(SILENCE, page.consumer.next()).await {
            Ok(Some(Ok(delivered))) => {
                page.left -= 1;
                self.page = Some(page);
                self.left = Some(left - 1);
                Ok(Some(delivered))
            }
            Ok(Some(Err(error))) => Err(failed(&error)),
            Ok(None) => Err(QueueError::Broken {
                what: format!("read {DEAD_LETTER_QUEUE}"),
                why: "the consumer was cancelled; the queue may be gone".to_owned(),
            }),
            // Others took what was left, or the broker is slow.
            Err(_silence) => {
                self.stop(page).await?;
                self.get().await
            }
        }
    }

    /// Gets one message. What is behind it is all that is left.
    async fn get(&mut self) -> Result<Option<lapin::message::Delivery>, QueueError> {
        let got = self
            .getting
            .basic_get(DEAD_LETTER_QUEUE.into(), BasicGetOptions::default())
            .await
            .map_err(|error| failed(&error))?;
        let behind = got.as_ref().map_or(0, |got| got.message_count);
        let left = self
            .left
            .map_or(behind, |left| left.saturating_sub(1).min(behind));
        self.left = Some(left);
        Ok(got.map(|got| got.delivery))
    }

    async fn fetch(&self, count: u16) -> Result<Page, QueueError> {
        let opening = async {
            let channel = self.connection.create_channel().await?;
            channel.basic_qos(count, BasicQosOptions::default()).await?;
            let options = BasicConsumeOptions::default();
            let consumer = channel
                .basic_consume(
                    DEAD_LETTER_QUEUE.into(),
                    "".into(),
                    options,
                    FieldTable::default(),
                )
                .await?;
            Ok(Page {
                channel,
                consumer,
                left: count,
            })
        };
        opening.await.map_err(|error| failed(&error))
    }

    /// Takes no more over this page.
    async fn stop(&mut self, page: Page) -> Result<(), QueueError> {
        let cancelling = page
            .channel
            .basic_cancel(page.consumer.tag(), BasicCancelOptions::default());
        cancelling.await.map_err(|error| failed(&error))?;
        self.used.push(page);
        Ok(())
    }
}

#[async_trait]
impl QueueScan for DeadLetterScan {
    async fn next(&mut self) -> Result<Option<Delivery>, QueueError> {
        let taken = self.take().await?;
        let login = self.login.as_deref();
        Ok(taken
            .map(|delivered| delivery(delivered, |incoming| admit_dead_letter(incoming, login))))
    }

    async fn close(self: Box<Self>) -> Result<(), QueueError> {
        let closed = self.connection.close(200, "done".into()).await;
        closed.map_err(|error| {
            let what = format!("requeue what was read from {DEAD_LETTER_QUEUE}");
            queue_error(&error, &what)
        })
    }
}
