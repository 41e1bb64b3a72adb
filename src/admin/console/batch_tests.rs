use jiff::Timestamp;

use super::*;
use crate::admin::caller::SignIn;
use crate::machine::StateName;
use crate::operations::batches::{Known, StillHaveAccess, Tally};
use crate::operations::fleet::Fleet;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn progress(change: impl FnOnce(&mut Overview)) -> BatchProgress {
    let mut tally = Tally::new("b-1".parse().unwrap(), Some(at(0)), at(7_200));
    tally.add(&Known::Nothing, at(3_600));
    let mut overview = tally.finish();
    change(&mut overview);
    BatchProgress {
        overview,
        pause: None,
        fleet: Fleet {
            as_of: at(7_200),
            stopped: false,
            workers_alive: None,
            workers_ready: None,
            messages_waiting: None,
            notices: Vec::new(),
        },
    }
}

fn local() -> Caller {
    Caller::token(SignIn::Loopback, false)
}

fn shown(progress: &BatchProgress) -> String {
    body(
        &local(),
        progress,
        Some(&Err(Problem::bad_request("too busy"))),
    )
    .into_string()
}

#[test]
fn a_batch_says_who_has_access_and_when_all_is_done_or_that_it_cannot_say() {
    let text = shown(&progress(|_| {}));
    for expected in [
        "1 user with access</a>, the oldest for 1 h",
        "1 of 1 left, done about: <span class=\"soft\">Cannot say",
        "Not known: too busy",
        "Nobody waits.",
        "Nobody is given up.",
        "/batches/b-1/report.csv",
    ] {
        assert!(text.contains(expected), "{expected}: {text}");
    }
    let text = shown(&progress(|overview| {
        overview.time_left_seconds = Some(3_600);
    }));
    assert!(text.contains("done about: 1970-01-01 03:00 UTC"), "{text}");
}

#[test]
fn the_numbers_of_a_batch_are_there_while_its_history_is_still_being_read() {
    let text = body(&local(), &progress(|_| {}), None).into_string();
    assert!(text.contains("1 user with access</a>"), "{text}");
    assert!(text.contains("Not known yet: it is being read."), "{text}");
}

#[test]
fn records_that_cannot_be_read_are_never_shown_as_access_that_is_removed() {
    let text = shown(&progress(|overview| {
        overview.still_have_access = None;
        overview.unreadable = 2;
    }));
    assert!(
        !text.contains("Nobody of this batch still has access"),
        "{text}"
    );
    assert!(text.contains("Not known: how far 2 users are"), "{text}");
}

#[test]
fn the_chart_has_its_numbers_in_a_table() {
    let text = shown(&progress(|overview| {
        overview.states.insert(StateName::Deleted, 8_796);
        overview.still_have_access = Some(StillHaveAccess {
            users: 2,
            since: at(0),
            longest_seconds: 7_200.0,
        });
    }));
    assert!(text.contains("<svg class=\"chart\" role=\"img\""), "{text}");
    assert!(
        text.contains("Deleted</span></th><td class=\"number\">8,796"),
        "{text}"
    );
    assert!(text.contains("2 users with access"), "{text}");
}

#[test]
fn only_who_finished_counts_as_off_boarded_with_evidence() {
    let text = shown(&progress(|overview| {
        overview.users = 10;
        overview.finished = 6;
        overview.cancelled = 2;
    }));
    for expected in [
        "Off-boarded with evidence: 6 of 10.",
        "2 users cancelled",
        "1 user not finished",
    ] {
        assert!(text.contains(expected), "{expected}: {text}");
    }
}
