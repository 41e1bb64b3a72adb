use super::super::compose;
use super::finding::Finding;
use crate::config::Queue;
use crate::failure::{Classify as _, Code};
use crate::ports::queue::{Examined, HostReport, QueueReport, TopologyFault};
use crate::queue::QueueError;
use crate::queue::names::{is_delay, is_ours};

const SERVICE: &str = "RabbitMQ";
const TOPOLOGY: &str = "RabbitMQ topology";
const CERTIFICATE: &str = "RabbitMQ certificate";
const ALARMS: &str = "RabbitMQ alarms";
const MAJORITY: &str = "RabbitMQ majority";
const QUEUES: &str = "RabbitMQ queues";
/// Of a policy that changes what our queues do.
const REMEDY: &str = "give the policy a pattern that leaves out `offboarding.*`: rabbitmqctl list_policies, list_operator_policies";

/// Checks whether the broker accepts the credentials, takes and gives messages, and has the exchanges and queues that
/// `offboarder topology` declares.
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

    let mut findings = hosts(broker.at(), &examined.hosts);
    let is_blocked = matches!(examined.alarm, Ok(Some(_)));
    let name = examined.certificate.as_ref();
    findings.extend(name.map(|name| certificate(name, is_blocked)));
    findings.extend(of_service(examined));
    findings
}

/// Each host of the URL, which one of them may hide: work continues at another.
fn hosts(at: &str, hosts: &[HostReport]) -> Vec<Finding> {
    let answered = hosts.iter().filter(|report| report.error.is_none());
    let answered: Vec<&str> = answered.map(|report| report.host.as_str()).collect();
    let by = match hosts.len() {
        0 | 1 => String::new(),
        count => format!(
            " ({} of {count} hosts: {})",
            answered.len(),
            answered.join(", ")
        ),
    };
    let mut findings = vec![Finding::good(
        SERVICE,
        format!("accepts the credentials at {at}{by}"),
    )];
    findings.extend(hosts.iter().filter_map(|report| {
        let why = match report.error.as_ref()? {
            QueueError::Unreachable { why, fix, .. } => format!("cannot be reached ({why}); {fix}"),
            error => format!("does not let us in: {error}"),
        };
        Some(Finding::warning(
            SERVICE,
            format!("the host {} {why}", report.host),
            "bring it back, or correct it in OFFBOARDER_QUEUE_URL: without it fewer hosts are left when one dies",
        ))
    }));
    findings
}

fn certificate(name: &Result<Option<String>, QueueError>, is_blocked: bool) -> Finding {
    match name {
        Ok(None) if is_blocked => Finding::skipped(
            CERTIFICATE,
            "unknown: RabbitMQ does not say its name during an alarm",
        ),
        Ok(Some(name)) => Finding::good(CERTIFICATE, format!("RabbitMQ knows it as {name}")),
        Ok(None) => Finding::warning(
            CERTIFICATE,
            "RabbitMQ does not say under which name it knows the certificate: workers do not believe their own headers, and count attempts from zero",
            "give a worker's login the right to write all keys of `offboarding`, not the tag impersonator, and a subject of at most 100 characters; a login that only submits or reads needs no name",
        ),
        Err(error) => Finding::failed(CERTIFICATE, error.clone()),
    }
}

fn of_service(examined: Examined) -> Vec<Finding> {
    let mut findings = topology(examined.topology);
    findings.push(alarms(examined.alarm));
    findings.push(majority(examined.majority));
    findings.extend(match examined.queues {
        Some(Ok(queues)) => of_queues(&queues),
        Some(Err(why)) => vec![Finding::bad(
            QUEUES,
            why,
            "correct OFFBOARDER_QUEUE_MANAGEMENT_URL; its user needs the tag `management` and a right in the virtual host",
        )],
        None => vec![Finding::skipped(
            QUEUES,
            "skipped: policies and members of queues need OFFBOARDER_QUEUE_MANAGEMENT_URL",
        )],
    });
    findings
}

fn alarms(alarm: Result<Option<String>, QueueError>) -> Finding {
    match alarm {
        Ok(None) => Finding::good(ALARMS, "none: it takes messages"),
        Ok(Some(reason)) => Finding::bad(
            ALARMS,
            format!("RabbitMQ takes no messages ({reason})"),
            "free memory or disk space on its node; work continues by itself",
        ),
        // The login may not publish, or there is no exchange yet.
        Err(error) if matches!(error.code(), Code::QueueRefused | Code::QueueUnroutable) => {
            Finding::skipped(ALARMS, format!("unknown: {error}"))
        }
        Err(error) => Finding::failed(ALARMS, error),
    }
}

fn majority(read: Result<(), QueueError>) -> Finding {
    match read {
        Ok(()) => Finding::good(MAJORITY, "offboarding.dead can be read"),
        Err(error) if error.to_string().contains("ACCESS_REFUSED") => Finding::skipped(
            MAJORITY,
            format!("unknown: this login may not read ({error})"),
        ),
        Err(error) => Finding::bad(
            MAJORITY,
            format!(
                "a queue does not answer, maybe since the majority of its nodes is away: {error}"
            ),
            "bring the nodes back: `rabbitmq-diagnostics cluster_status`, `rabbitmq-queues quorum_status -p VHOST offboarding.dead`",
        ),
    }
}

/// What the management API shows of our queues.
fn of_queues(queues: &[QueueReport]) -> Vec<Finding> {
    let ours = || queues.iter().filter(|queue| is_ours(&queue.name));
    if ours().next().is_none() {
        return vec![Finding::bad(
            QUEUES,
            "the management API shows none of our queues in this virtual host",
            "let OFFBOARDER_QUEUE_MANAGEMENT_URL name the broker of OFFBOARDER_QUEUE_URL, and run `offboarder topology`",
        )];
    }
    let mut findings = Vec::new();

    let few: Vec<String> = ours()
        .filter(|queue| queue.online < queue.members)
        .map(members)
        .collect();
    if ours().any(|queue| queue.online * 2 <= queue.members && queue.members > 0) {
        let bring = "bring their nodes back: `rabbitmq-diagnostics cluster_status`";
        findings.push(Finding::bad(
            QUEUES,
            format!("no majority: {}", few.join("; ")),
            bring,
        ));
    } else if !few.is_empty() {
        let bring = "bring the node back before another one is lost";
        findings.push(Finding::warning(QUEUES, few.join("; "), bring));
    }

    findings.extend(ours().filter_map(overflowing));
    findings.extend(ours().filter_map(rerouting));
    findings.extend(ours().filter_map(limited));
    if findings.is_empty() {
        let seen = format!(
            "{} have all members online, and no policy limits them",
            ours().count()
        );
        findings.push(Finding::good(QUEUES, seen));
    }
    findings
}

fn members(queue: &QueueReport) -> String {
    format!(
        "{} has {} of {} members online",
        queue.name, queue.online, queue.members
    )
}

/// The value of a policy is in force, and not the argument that we declare.
fn overflowing(queue: &QueueReport) -> Option<Finding> {
    let overflow = queue.overflow.as_deref()?;
    if overflow == "reject-publish" {
        return None;
    }
    Some(Finding::bad(
        QUEUES,
        format!(
            "the policy {} sets overflow {overflow} for {}: when the queue is full, or its target away, RabbitMQ loses users' messages without a word",
            queue.policies.join(" and "),
            queue.name
        ),
        REMEDY,
    ))
}

/// A message that has waited in a delay queue comes back under its own key, unless a policy names one. Our other queues send
/// what leaves them to the dead letters, under any key.
fn rerouting(queue: &QueueReport) -> Option<Finding> {
    let key = queue.reroutes_to.as_deref()?;
    is_delay(&queue.name).then(|| {
        Finding::bad(
        QUEUES,
        format!(
            "the policy {} sets dead-letter-routing-key {key} for {}: users who waited there do not come back",
            queue.policies.join(" and "),
            queue.name
        ),
        REMEDY,
    )
    })
}

/// A full queue refuses messages, and nothing is lost. The other limits move messages or drop them.
fn limited(queue: &QueueReport) -> Option<Finding> {
    if queue.limits.is_empty() {
        return None;
    }
    let only_length = queue
        .limits
        .keys()
        .all(|limit| limit.starts_with("max-length"));
    let limits: Vec<String> = queue
        .limits
        .iter()
        .map(|(limit, value)| format!("{limit} {value}"))
        .collect();
    let what = format!(
        "the policy {} limits {}: {}",
        queue.policies.join(" and "),
        queue.name,
        limits.join(", ")
    );

    // What a full queue does then is a finding of its own.
    let refuses = overflowing(queue).is_none();
    Some(if only_length && refuses {
        Finding::warning(
            QUEUES,
            format!("{what}; when it is full, RabbitMQ refuses messages and work stops"),
            REMEDY,
        )
    } else {
        Finding::bad(
            QUEUES,
            format!("{what}; RabbitMQ moves or drops messages by that"),
            REMEDY,
        )
    })
}

fn topology(examined: Result<Vec<TopologyFault>, QueueError>) -> Vec<Finding> {
    let faults = match examined {
        Ok(faults) => faults,
        Err(error) => return vec![Finding::failed(TOPOLOGY, error)],
    };
    // One finding for all that is missing: it has one cause and one remedy.
    let mut missing = Vec::new();
    let mut not_compared = 0;
    let mut findings = Vec::new();
    for fault in faults {
        match fault {
            TopologyFault::Missing { what } => missing.push(what),
            TopologyFault::NotCompared => not_compared += 1,
            TopologyFault::Different { what, why } => findings.push(Finding::bad(
                TOPOLOGY,
                format!("{what} exists with other arguments ({why})"),
                "empty it, delete it, and run `offboarder topology`",
            )),
        }
    }
    findings.extend(missing_ones(&missing));
    if findings.is_empty() {
        findings.push(Finding::good(
            TOPOLOGY,
            match not_compared {
                0 => "each exchange and queue exists as declared",
                _ => "each exchange and queue exists; whether as declared is unknown, since this login has no right to configure",
            },
        ));
    }

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
#[path = "broker_tests.rs"]
mod tests;
