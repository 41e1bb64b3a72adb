use jiff::SignedDuration;

use super::*;
use crate::ports::Heartbeat;

fn now() -> Timestamp {
    Timestamp::from_second(1_000_000).unwrap()
}

fn before(seconds: i64) -> Timestamp {
    now() - SignedDuration::from_secs(seconds)
}

fn worker(name: &str, causes: &[&str]) -> LiveWorker {
    let worker = Heartbeat {
        since: before(600),
        ready: causes.is_empty(),
        causes: causes.iter().map(|cause| (*cause).to_owned()).collect(),
        not_ready_since: (!causes.is_empty()).then(|| before(40)),
        ..Heartbeat::sample(name)
    };
    LiveWorker {
        worker,
        seen_at: now(),
    }
}

fn pause(until: Option<Timestamp>) -> PauseState {
    PauseState::Record(PauseRecord {
        paused: true,
        who: "ada".to_owned(),
        why: Some("migration".to_owned()),
        at: before(720),
        until,
        passes_over: Vec::new(),
    })
}

#[expect(
    clippy::unnecessary_wraps,
    reason = "as it is read where there is a broker"
)]
fn depths(count: u64) -> Option<Result<Depths, String>> {
    Some(Ok(Depths::from([("offboarding.users".to_owned(), count)])))
}

#[test]
fn a_fleet_that_works_has_no_notices() {
    let fleet = assemble(
        Ok(vec![worker("a", &[]), worker("b", &[])]),
        Ok(PauseState::Never),
        depths(7),
        now(),
    );
    assert_eq!((fleet.notices.len(), fleet.stopped), (0, false));
    assert_eq!(fleet.to_string(), "");
    assert_eq!(fleet.workers_ready, Some(2));
    assert_eq!(fleet.messages_waiting, Some(7));
}

#[test]
fn no_worker_is_a_notice_with_the_messages_that_wait() {
    for (depths, text) in [
        (
            depths(12),
            "! no worker is alive, and 12 messages wait; start `offboarder worker`",
        ),
        (
            depths(1),
            "! no worker is alive, and 1 message waits; start `offboarder worker`",
        ),
        (None, "! no worker is alive; start `offboarder worker`"),
    ] {
        let fleet = assemble(Ok(Vec::new()), Ok(PauseState::Never), depths, now());
        assert_eq!(fleet.to_string(), text);
        assert!(fleet.stopped);
    }
}

#[test]
fn a_pause_says_who_and_why_and_is_not_a_fault_of_the_workers() {
    let paused = worker("a", &["paused by ada at 1970-01-12T13:34:40Z: migration"]);
    let workers = || Ok(vec![paused.clone()]);
    let fleet = assemble(workers(), Ok(pause(None)), None, now());
    assert_eq!(fleet.to_string(), "! paused by ada 12 min ago: migration");
    assert!(fleet.stopped);

    let until = now() + SignedDuration::from_secs(30);
    let fleet = assemble(workers(), Ok(pause(Some(until))), None, now());
    assert_eq!(
        fleet.to_string(),
        "! paused by ada 12 min ago, ends in 30 s: migration"
    );
    assert_eq!(fleet.notices[0].until, Some(until));

    let over = assemble(
        Ok(vec![worker("a", &[])]),
        Ok(pause(Some(before(1)))),
        None,
        now(),
    );
    assert_eq!((over.notices.len(), over.stopped), (0, false));
}

#[test]
fn stopped_workers_are_counted_with_the_most_common_cause_and_since_when() {
    let away = "CXone answers 503 [cxone_server_error]";
    let all = vec![
        worker("a", &[away]),
        worker("b", &[away]),
        worker("c", &["draining"]),
    ];
    let fleet = assemble(Ok(all), Ok(PauseState::Never), None, now());
    assert_eq!(
        fleet.to_string(),
        format!(
            "! 3 of 3 workers are stopped: {away} (since 1970-01-12T13:46:00Z, 40 s ago); `offboarder workers` shows more causes"
        )
    );
    assert!(fleet.stopped);

    let one = vec![worker("a", &[away]), worker("b", &[])];
    let fleet = assemble(Ok(one), Ok(PauseState::Never), None, now());
    assert!(!fleet.stopped, "one still works");
    assert_eq!(fleet.notices[0].count, Some(1));
}

#[test]
fn a_worker_that_has_not_read_the_end_of_a_pause_yet_is_not_stopped() {
    let late = worker("a", &["paused by ada at 1970-01-12T13:34:40Z: migration"]);
    let fleet = assemble(Ok(vec![late]), Ok(PauseState::Never), None, now());
    assert_eq!((fleet.notices.len(), fleet.stopped), (0, false));
}

#[test]
fn what_cannot_be_read_is_unknown_and_never_all_is_well() {
    let why = || "connection refused".to_owned();
    let fleet = assemble(Err(why()), Err(why()), Some(Err(why())), now());
    assert_eq!(
        fleet.to_string(),
        "! whether workers are alive is unknown: connection refused\n\
         ! whether the workers are paused is unknown: connection refused\n\
         ! how many messages wait is unknown: connection refused"
    );
    assert!(!fleet.stopped, "it is unknown");
    assert_eq!((fleet.workers_alive, fleet.messages_waiting), (None, None));

    let missing = assemble(
        Ok(vec![worker("a", &[])]),
        Ok(PauseState::Never),
        Some(Ok(Depths::new())),
        now(),
    );
    assert!(missing.to_string().contains("offboarder topology"));
}

#[test]
fn users_who_wait_for_the_deletion_rate_limit_are_a_notice_and_no_stop() {
    let mut waiting = worker("a", &[]);
    waiting.worker.waiting_for_deletion_rate_limit = 3;
    let workers = vec![waiting, worker("b", &[])];
    let fleet = assemble(Ok(workers), Ok(PauseState::Never), None, now());
    assert!(fleet.to_string().contains("3 users wait for it"), "{fleet}");
    assert!(!fleet.stopped);
}

#[test]
fn users_whom_no_order_names_and_who_wait_are_a_notice_and_no_stop() {
    let mut waiting = worker("a", &[]);
    waiting.worker.waiting_for_request_limit = 1;
    let fleet = assemble(Ok(vec![waiting]), Ok(PauseState::Never), None, now());
    let text = fleet.to_string();
    assert!(text.contains("1 user waits with their access"), "{text}");
    assert!(text.contains("resume --intake"), "{text}");
    assert!(!fleet.stopped);
}

#[test]
fn a_text_from_outside_adds_no_line_to_the_banner() {
    let fleet = assemble(
        Ok(vec![worker("a", &["x\n! all is well"])]),
        Ok(PauseState::Never),
        None,
        now(),
    );
    assert_eq!(fleet.to_string().lines().count(), 1);
}
