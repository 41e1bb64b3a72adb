use super::super::compose;
use super::finding::Finding;
use crate::adapters::amqp::{QueueError, TopologyFault, examine};
use crate::config::Queue;

const SERVICE: &str = "RabbitMQ";
const TOPOLOGY: &str = "RabbitMQ topology";

/// Whether the broker lets us in, and has what `offboarder topology` declares.
pub(super) async fn look(queue: Option<&Queue>) -> Vec<Finding> {
    let Some(queue) = queue else {
        return vec![Finding::well(
            SERVICE,
            "OFFBOARDER_QUEUE_URL is not set; `run` works without",
        )];
    };
    let broker = match compose::broker(queue) {
        Ok(broker) => broker,
        Err(error) => {
            return vec![Finding::bad(
                SERVICE,
                error.to_string(),
                "mend OFFBOARDER_QUEUE_…",
            )];
        }
    };
    let connection = match broker.connect("doctor").await {
        Ok(connection) => connection,
        Err(error) => return vec![Finding::failed(SERVICE, error)],
    };
    let mut findings = vec![Finding::well(
        SERVICE,
        format!("let us in at {}", broker.at()),
    )];
    findings.extend(topology(examine(&connection).await));
    // Whether it closes in order says nothing of whether it opened.
    connection.close(200, "done".into()).await.ok();
    findings
}

fn topology(examined: Result<Vec<TopologyFault>, QueueError>) -> Vec<Finding> {
    let faults = match examined {
        Ok(faults) => faults,
        Err(error) => return vec![Finding::failed(TOPOLOGY, error)],
    };
    if faults.is_empty() {
        return vec![Finding::well(
            TOPOLOGY,
            "every exchange and queue stands as it is declared",
        )];
    }
    let finding = |fault| match fault {
        TopologyFault::Missing { what } => Finding::bad(
            TOPOLOGY,
            format!("{what} is not there"),
            "run `offboarder topology`",
        ),
        TopologyFault::Otherwise { what, why } => Finding::bad(
            TOPOLOGY,
            format!("{what} stands with other arguments ({why})"),
            "empty it, delete it, and run `offboarder topology`",
        ),
    };
    faults.into_iter().map(finding).collect()
}
