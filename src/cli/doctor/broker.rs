use super::super::compose;
use super::finding::Finding;
use crate::config::Queue;
use crate::ports::queue::{Examined, TopologyFault};

const SERVICE: &str = "RabbitMQ";
const TOPOLOGY: &str = "RabbitMQ topology";

/// Checks whether the broker accepts the credentials and has the exchanges and queues that `offboarder topology` declares.
pub(super) async fn check(queue: Option<&Queue>) -> Vec<Finding> {
    let Some(queue) = queue else {
        return vec![Finding::skipped(
            SERVICE,
            "skipped: needs OFFBOARDER_QUEUE_URL; `run` works without it",
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
    // One finding for all that is missing: it has one cause and one remedy.
    let mut missing = Vec::new();
    let mut findings = Vec::new();
    for fault in faults {
        match fault {
            TopologyFault::Missing { what } => missing.push(what),
            TopologyFault::Different { what, why } => findings.push(Finding::bad(
                TOPOLOGY,
                format!("{what} exists with other arguments ({why})"),
                "empty it, delete it, and run `offboarder topology`",
            )),
        }
    }
    findings.extend(missing_ones(&missing));

    findings
}

fn missing_ones(missing: &[String]) -> Option<Finding> {
    let detail = match missing {
        [] => return None,
        [one] => format!("{one} does not exist"),
        [one, .., last] => format!(
            "{} exchanges and queues do not exist, from {one} to {last}",
            missing.len()
        ),
    };
    let remedy = "run `offboarder topology`";
    Some(Finding::bad(TOPOLOGY, detail, remedy))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_is_missing_is_one_finding_and_each_other_difference_has_its_own() {
        let missing = |name: &str| TopologyFault::Missing {
            what: format!("the queue {name}"),
        };
        let other = |name: &str| TopologyFault::Different {
            what: format!("the queue {name}"),
            why: "x-queue-type".to_owned(),
        };
        let faults = vec![
            missing("a"),
            other("b"),
            missing("c"),
            other("d"),
            missing("e"),
        ];
        let findings = topology(Ok(faults));
        assert_eq!(findings.len(), 3, "{findings:?}");
        let last = &findings[2].detail;
        assert_eq!(
            last,
            "3 exchanges and queues do not exist, from the queue a to the queue e"
        );
        assert!(topology(Ok(Vec::new()))[0].ok);
    }
}
