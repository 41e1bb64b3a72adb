//! Compares the broker's exchanges and queues with those that we declare. AMQP cannot read bindings, so a missing
//! binding is not found.

use lapin::{Channel, Connection, ErrorKind};

use super::error::queue_error;
use super::topology::{declare_exchange, declare_queue, exchanges, queues};
use crate::ports::queue::TopologyFault;
use crate::queue::QueueError;

const ACCESS_REFUSED: u16 = 403;
const NOT_FOUND: u16 = 404;
const PRECONDITION_FAILED: u16 = 406;

/// Declares nothing that does not exist.
pub(super) async fn examine(connection: &Connection) -> Result<Vec<TopologyFault>, QueueError> {
    let mut faults = Vec::new();

    for (name, kind) in exchanges() {
        let what = format!("the exchange {name}");
        let channels = Channels::open(connection).await?;
        let found = declare_exchange(&channels.checking, &name, kind.clone(), true).await;
        let compared = async { declare_exchange(&channels.comparing, &name, kind, false).await };
        faults.extend(fault(what, found, compared).await?);
        channels.close().await;
    }

    for declared in queues() {
        let name = declared.queue;
        let arguments = declared.arguments;
        let what = format!("the queue {name}");
        let channels = Channels::open(connection).await?;
        let found = declare_queue(&channels.checking, &name, arguments.clone(), true).await;
        let compared = async { declare_queue(&channels.comparing, &name, arguments, false).await };
        faults.extend(fault(what, found, compared).await?);
        channels.close().await;
    }
    Ok(faults)
}

/// One for each declaration, since RabbitMQ closes the channel of a declaration that it refuses.
struct Channels {
    checking: Channel,
    comparing: Channel,
}

impl Channels {
    async fn open(connection: &Connection) -> Result<Self, QueueError> {
        let channel = async || {
            let opening = connection.create_channel().await;
            opening.map_err(|error| queue_error(&error, "open a channel"))
        };
        Ok(Self {
            checking: channel().await?,
            comparing: channel().await?,
        })
    }

    /// One that was refused is closed already.
    async fn close(self) {
        for channel in [self.checking, self.comparing] {
            channel.close(200, "done".into()).await.ok();
        }
    }
}

/// Declares again only what exists: that compares its arguments and changes nothing.
async fn fault(
    what: String,
    found: Result<(), lapin::Error>,
    compared: impl Future<Output = Result<(), lapin::Error>>,
) -> Result<Option<TopologyFault>, QueueError> {
    let refused = |error: &lapin::Error| match error.kind() {
        ErrorKind::ProtocolError(error) => Some((error.get_id(), error.get_message().to_string())),
        _ => None,
    };
    if let Err(error) = found {
        return match refused(&error) {
            Some((NOT_FOUND, _)) => Ok(Some(TopologyFault::Missing { what })),
            Some(_) | None => Err(queue_error(&error, &format!("check {what}"))),
        };
    }
    let Err(error) = compared.await else {
        return Ok(None);
    };

    match refused(&error) {
        Some((ACCESS_REFUSED, _)) => Ok(Some(TopologyFault::NotCompared)),
        Some((PRECONDITION_FAILED, why)) => Ok(Some(TopologyFault::Different { what, why })),
        Some(_) | None => Err(queue_error(&error, &format!("compare {what}"))),
    }
}
