use super::super::compose;
use super::finding::Finding;
use crate::config::Queue;
use crate::ports::queue::TopologyFault;
use crate::queue::QueueError;

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
    if let Err(error) = broker.probe().await {
        return vec![Finding::failed(SERVICE, error)];
    }
    let mut findings = vec![Finding::well(
        SERVICE,
        format!("let us in at {}", broker.at()),
    )];
    findings.extend(topology(broker.examine().await));
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
        TopologyFault::Different { what, why } => Finding::bad(
            TOPOLOGY,
            format!("{what} stands with other arguments ({why})"),
            "empty it, delete it, and run `offboarder topology`",
        ),
    };
    faults.into_iter().map(finding).collect()
}
