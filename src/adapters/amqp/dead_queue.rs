use std::time::Duration;

use futures_util::StreamExt as _;
use lapin::message::Delivery;
use lapin::options::{BasicCancelOptions, BasicConsumeOptions, BasicGetOptions, BasicQosOptions};
use lapin::types::FieldTable;
use lapin::{Channel, Connection, Consumer};

use super::door::exhibit;
use super::{Broker, DEAD_QUEUE, QueueError};

/// The dead letters that stood in the queue when this was opened. What is fetched stays there unless it is
/// acknowledged: the rest goes back when this is closed, dropped or killed, in any order.
pub(crate) struct DeadQueue {
    connection: Connection,
    login: Option<String>,
    /// Where letters are asked for one by one: slow, but the broker says when there is none.
    asking: Channel,
    page: Option<Page>,
    /// Those that were turned: they hold what came over them.
    turned: Vec<Page>,
    left: Option<u32>,
}

/// What comes unasked: as much at a time as may be in memory. A channel of its own, since the letters in
/// hand use its prefetch up.
struct Page {
    channel: Channel,
    consumer: Consumer,
    left: u16,
}

/// Letters in memory, and on their way to it. RabbitMQ counts them and not their bytes, and each may have 1 MiB.
const PAGE: u16 = 200;
/// After so long without a letter the broker is asked whether there is any.
const SILENCE: Duration = Duration::from_millis(500);

fn failed(error: &lapin::Error) -> QueueError {
    QueueError::of(error, &format!("look at {DEAD_QUEUE}"))
}

impl DeadQueue {
    pub(crate) async fn open(broker: &Broker) -> Result<Self, QueueError> {
        let connection = broker.connect("dead letters").await?;
        let asking = connection
            .create_channel()
            .await
            .map_err(|error| failed(&error))?;
        let login = broker.login().map(str::to_owned);
        Ok(Self {
            connection,
            login,
            asking,
            page: None,
            turned: Vec::new(),
            left: None,
        })
    }

    /// The next letter, as far as it may be shown; `None` when none is left that is in nobody's hands.
    pub(crate) async fn next(&mut self) -> Result<Option<Delivery>, QueueError> {
        let mut next = self.whole().await?;
        if let Some(delivery) = &mut next {
            exhibit(delivery, self.login.as_deref());
        }
        Ok(next)
    }

    async fn whole(&mut self) -> Result<Option<Delivery>, QueueError> {
        let Some(left) = self.left else {
            return self.ask().await;
        };
        if left == 0 {
            return Ok(None);
        }
        let mut page = match self.page.take() {
            Some(page) if page.left > 0 => page,
            full => {
                if let Some(full) = full {
                    self.turn(full).await?;
                }
                self.fetch(u16::try_from(left).unwrap_or(PAGE).min(PAGE))
                    .await?
            }
        };
        match tokio::time::timeout(SILENCE, page.consumer.next()).await {
            Ok(Some(Ok(delivery))) => {
                page.left -= 1;
                self.page = Some(page);
                self.left = Some(left - 1);
                Ok(Some(delivery))
            }
            Ok(Some(Err(error))) => Err(failed(&error)),
            Ok(None) => Err(QueueError::Broken {
                what: format!("look at {DEAD_QUEUE}"),
                why: "the consumer was cancelled; the queue may be gone".to_owned(),
            }),
            // Others took what was left, or the broker is slow.
            Err(_silence) => {
                self.turn(page).await?;
                self.ask().await
            }
        }
    }

    /// The next letter, by asking; what stands behind it is all that is left.
    async fn ask(&mut self) -> Result<Option<Delivery>, QueueError> {
        let got = self
            .asking
            .basic_get(DEAD_QUEUE.into(), BasicGetOptions::default())
            .await;
        let got = got.map_err(|error| failed(&error))?;
        let behind = got.as_ref().map_or(0, |got| got.message_count);
        self.left = Some(
            self.left
                .map_or(behind, |left| left.saturating_sub(1).min(behind)),
        );
        Ok(got.map(|got| got.delivery))
    }

    async fn fetch(&self, count: u16) -> Result<Page, QueueError> {
        let opening = async {
            let channel = self.connection.create_channel().await?;
            channel.basic_qos(count, BasicQosOptions::default()).await?;
            let (options, none) = (BasicConsumeOptions::default(), FieldTable::default());
            let consumer = channel
                .basic_consume(DEAD_QUEUE.into(), "".into(), options, none)
                .await?;
            Ok(Page {
                channel,
                consumer,
                left: count,
            })
        };
        opening.await.map_err(|error| failed(&error))
    }

    /// Takes no more over it.
    async fn turn(&mut self, page: Page) -> Result<(), QueueError> {
        let cancelling = page
            .channel
            .basic_cancel(page.consumer.tag(), BasicCancelOptions::default());
        cancelling.await.map_err(|error| failed(&error))?;
        self.turned.push(page);
        Ok(())
    }

    /// Gives back all that was not acknowledged.
    pub(crate) async fn close(self) -> Result<(), QueueError> {
        let closed = self.connection.close(200, "done".into()).await;
        closed.map_err(|error| {
            QueueError::of(
                &error,
                &format!("give back what was fetched from {DEAD_QUEUE}"),
            )
        })
    }
}
