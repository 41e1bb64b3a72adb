use jiff::Timestamp;

use super::*;
use crate::admin::caller::SignIn;
use crate::operations::part::{Part, WhyUnknown};
use crate::ports::Heartbeat;

fn local() -> Caller {
    Caller::token(SignIn::Loopback, false)
}

fn fleet(alive: Option<usize>, ready: Option<usize>) -> Fleet {
    Fleet {
        as_of: Timestamp::UNIX_EPOCH,
        stopped: false,
        workers_alive: alive,
        workers_ready: ready,
        messages_waiting: None,
        notices: Vec::new(),
    }
}

fn worker(name: &str, version: &str) -> LiveWorker {
    LiveWorker {
        worker: Heartbeat {
            version: version.to_owned(),
            concurrency: 16,
            in_flight: 3,
            ready: false,
            causes: vec!["CXone <answers> 503".to_owned()],
            ..Heartbeat::sample(name)
        },
        seen_at: Timestamp::UNIX_EPOCH,
    }
}

fn limits() -> LimitsNow {
    LimitsNow {
        as_of: Timestamp::UNIX_EPOCH,
        quotas: Part {
            as_of: None,
            known: None,
            unknown: Some(WhyUnknown::new("checkpoints_unreachable", "Redis is away")),
        },
        deletion_rate_limit: DeletionsNow {
            allowed: Some(500),
            per_seconds: Some(3600),
            used: Some(Part {
                as_of: Some(Timestamp::UNIX_EPOCH),
                known: Some(1204),
                unknown: None,
            }),
            users_waiting: None,
        },
        workers: Part {
            as_of: None,
            known: None,
            unknown: None,
        },
    }
}

#[test]
fn two_releases_and_a_cause_are_shown_and_nothing_unknown_looks_empty() {
    let listed = Ok(vec![worker("w-1", "1.4.2"), worker("w-2", "1.4.3")]);
    let text = body(&local(), &fleet(Some(2), Some(0)), &listed, &limits()).into_string();
    for expected in [
        "0 of 2 workers can take users.",
        "releases 1.4.2 and 1.4.3 work at the same time",
        "CXone &lt;answers&gt; 503",
        "3 of 16",
        "Not known: Redis is away",
        "1,204 of 500 deletions were sent in the last 1 h.",
        "Not known: how many users wait for it.",
    ] {
        assert!(text.contains(expected), "{expected}: {text}");
    }
}

#[test]
fn no_worker_is_not_the_same_as_an_unknown_number() {
    let none = body(
        &local(),
        &fleet(Some(0), Some(0)),
        &Ok(Vec::new()),
        &limits(),
    )
    .into_string();
    assert!(
        none.contains("No worker is alive.") && none.contains("None."),
        "{none}"
    );
    let away = Problem::bad_request("Redis does not answer");
    let unknown = body(&local(), &fleet(None, None), &Err(away), &limits()).into_string();
    assert!(
        unknown.contains("Not known: whether workers are alive."),
        "{unknown}"
    );
    assert!(
        unknown.contains("Not known: Redis does not answer"),
        "{unknown}"
    );
    assert!(!unknown.contains("None."), "{unknown}");
}
