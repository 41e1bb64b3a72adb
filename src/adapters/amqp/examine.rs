use lapin::{Channel, Connection, ErrorKind};

use super::QueueError;
use super::topology::{Declared, declare_exchange, declare_queue, exchanges, queues};

/// What of the topology is not as `offboarder topology` makes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TopologyFault {
    Missing {
        /// Such as `the queue offboarding.users`.
        what: String,
    },
    /// It is there with other arguments.
    Otherwise {
        /// Such as `the queue offboarding.users`.
        what: String,
        why: String,
    },
}

const NOT_FOUND: u16 = 404;
const PRECONDITION_FAILED: u16 = 406;

/// Compares what stands at the broker with what is declared, and declares nothing that is not there.
/// Bindings cannot be looked at this way.
pub(crate) async fn examine(connection: &Connection) -> Result<Vec<TopologyFault>, QueueError> {
    let mut faults = Vec::new();
    for (name, kind) in exchanges() {
        let what = format!("the exchange {name}");
        // A declaration that is refused takes its channel along.
        let (looking, comparing) = (channel(connection).await?, channel(connection).await?);
        let found = declare_exchange(&looking, &name, kind.clone(), true).await;
        let compared = async { declare_exchange(&comparing, &name, kind, false).await };
        faults.extend(judge(what, found, compared).await?);
        close(looking, comparing).await;
    }
    for Declared {
        queue, arguments, ..
    } in queues()
    {
        let what = format!("the queue {queue}");
        let (looking, comparing) = (channel(connection).await?, channel(connection).await?);
        let found = declare_queue(&looking, &queue, arguments.clone(), true).await;
        let compared = async { declare_queue(&comparing, &queue, arguments, false).await };
        faults.extend(judge(what, found, compared).await?);
        close(looking, comparing).await;
    }
    Ok(faults)
}

async fn channel(connection: &Connection) -> Result<Channel, QueueError> {
    connection
        .create_channel()
        .await
        .map_err(|error| QueueError::of(&error, "open a channel"))
}

/// One that was refused is closed already.
async fn close(looking: Channel, comparing: Channel) {
    for channel in [looking, comparing] {
        channel.close(200, "done".into()).await.ok();
    }
}

/// Only what is there is declared again, which compares its arguments and changes nothing.
async fn judge(
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
            Some(_) | None => Err(QueueError::of(&error, &format!("look at {what}"))),
        };
    }
    let Err(error) = compared.await else {
        return Ok(None);
    };
    match refused(&error) {
        Some((PRECONDITION_FAILED, why)) => Ok(Some(TopologyFault::Otherwise { what, why })),
        Some(_) | None => Err(QueueError::of(&error, &format!("compare {what}"))),
    }
}
