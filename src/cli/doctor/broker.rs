use super::super::compose;
use super::finding::Finding;
use crate::config::Queue;
use crate::ports::queue::{Examined, TopologyFault};

const SERVICE: &str = "RabbitMQ";
const TOPOLOGY: &str = "RabbitMQ topology";

/// Checks whether the broker accepts the credentials and has the exchanges and queues that `offboarder topology` declares.
pub(super) async fn check(queue: Option<&Queue>) -> Vec<Finding> {
    let Some(queue) = queue else {
        return vec![Finding::good(
            SERVICE,
            "OFFBOARDER_QUEUE_URL is not set; `run` works without it",
        )];
    };
    let broker = match compose::broker(queue) {
        Ok(broker) => broker,
        Err(error) => {
            return vec![Finding::bad(
                SERVICE,
                error.to_string(),
                "fix OFFBOARDER_QUEUE_…",
            )];
        }
    };
    let examined = match broker.examine().await {
        Ok(examined) => examined,
        Err(error) => return vec![Finding::failed(SERVICE, error)],
    };

    let mut findings = vec![Finding::good(
        SERVICE,
        format!("accepts the credentials at {}", broker.at()),
    )];
    findings.extend(topology(examined));
    findings
}

fn topology(examined: Examined) -> Vec<Finding> {
    let faults = match examined {
        Ok(faults) => faults,
        Err(error) => return vec![Finding::failed(TOPOLOGY, error)],
    };
    if faults.is_empty() {
        return vec![Finding::good(
            TOPOLOGY,
            "each exchange and queue exists as declared",
        )];
    }
    let finding = |fault| match fault {
        TopologyFault::Missing { what } => Finding::bad(
            TOPOLOGY,
            format!("{what} does not exist"),
            "run `offboarder topology`",
        ),
        TopologyFault::Different { what, why } => Finding::bad(
            TOPOLOGY,
            format!("{what} exists with other arguments ({why})"),
            "empty it, delete it, and run `offboarder topology`",
        ),
    };

    faults.into_iter().map(finding).collect()
}
