use super::*;
use crate::failure::{Class, Failure, Reason};
use crate::queue::Properties;
use crate::queue::headers::{DELIVERY_COUNT, NOT_BEFORE};
use crate::queue::names::JOBS_EXCHANGE;
use crate::worker::run::{AccessGone, Ended};

const NOW: Timestamp = Timestamp::UNIX_EPOCH;

fn access_gone() -> AccessGone {
    AccessGone {
        user_id: "3f1f0d4e-9a51-4b4b-8f6c-1f9a4f9b7c11".parse().unwrap(),
        evidence_revision: 1,
        at: NOW,
        request: crate::job::Request::default(),
    }
}

fn finished() -> Outcome {
    Outcome::Finished(Box::new(Ended {
        user_id: "3f1f0d4e-9a51-4b4b-8f6c-1f9a4f9b7c11".parse().unwrap(),
        state: StateName::Deleted,
        revision: 1,
        at: NOW,
        request: crate::job::Request::default(),
        manifest: None,
        deletion: None,
        access_gone: Some(access_gone()),
    }))
}

fn delay() -> Outcome {
    Outcome::Delay {
        until: NOW + SignedDuration::from_secs(60),
        why: "slow".to_owned(),
        code: None,
    }
}

fn systemic() -> Outcome {
    let failure = Failure::new(Class::Systemic, Code::CxoneUnauthorized, "401");
    Outcome::Interrupted(Interrupt::Systemic(failure))
}

fn dead_letter() -> Outcome {
    Outcome::DeadLetter(GivenUp {
        reason: Reason::ApiRejected,
        error: "x".repeat(5000),
        code: Some(Code::CxoneRejected),
        state: Some(StateName::Received),
        attempts: 1,
    })
}

fn settle(outcome: &Outcome, source: Source) -> Settlement<'_> {
    Settlement {
        outcome,
        source,
        ended_at: NOW,
        finished_batch: None,
    }
}

#[test]
fn only_a_finished_user_is_acknowledged_without_a_successor() {
    let busy = Outcome::Busy {
        for_at_most: Duration::from_mins(1),
        look_again: None,
    };
    let with_successor = [
        Outcome::MoveToArchiveLane(None),
        Outcome::Reissue { revision: 2 },
        delay(),
        Outcome::NotDue { until: NOW },
        busy,
        dead_letter(),
        Outcome::Interrupted(Interrupt::Draining),
        Outcome::Interrupted(Interrupt::SliceOver),
        Outcome::Interrupted(Interrupt::LeaseLost),
        systemic(),
    ];
    for outcome in with_successor {
        let destination = settle(&outcome, Source::Users).destination();
        assert!(destination.is_some(), "{outcome:?}");
    }

    // Another message, or a dead letter, has the work of an obsolete one.
    for outcome in [finished(), Outcome::Obsolete] {
        assert_eq!(settle(&outcome, Source::Users).destination(), None);
    }
}

#[test]
fn a_drained_job_is_requeued_where_it_came_from_and_access_work_moves_to_the_archive_lane() {
    let draining = Outcome::Interrupted(Interrupt::Draining);
    let requeued = settle(&draining, Source::UsersUrgent).destination();
    assert_eq!(requeued, Some(Destination::Jobs(Source::UsersUrgent)));

    let moved = settle(&Outcome::MoveToArchiveLane(None), Source::UsersUrgent).destination();
    assert_eq!(moved, Some(Destination::Jobs(Source::ArchiveUrgent)));
}

#[test]
fn a_busy_user_is_tried_again_within_seconds_however_long_the_lease_is() {
    for (seconds, look_again, expected) in [(4, None, 4), (300, None, 10), (300, Some(3), 3)] {
        let busy = Outcome::Busy {
            for_at_most: Duration::from_secs(seconds),
            look_again: look_again.map(Duration::from_secs),
        };
        let until = NOW + SignedDuration::from_secs(expected);
        let destination = settle(&busy, Source::Users).destination();
        assert_eq!(destination, Some(Destination::Delayed { until }));
    }
}

#[test]
fn a_user_whom_an_outage_of_redis_interrupted_is_tried_again_within_seconds() {
    for (code, expected) in [
        (Code::CheckpointsUnreachable, 3),
        (Code::CxoneUnauthorized, 10),
    ] {
        let failure = Failure::new(Class::Systemic, code, "away");
        let interrupted = Outcome::Interrupted(Interrupt::Systemic(failure));
        let until = NOW + SignedDuration::from_secs(expected);
        let destination = settle(&interrupted, Source::Users).destination();
        assert_eq!(destination, Some(Destination::Delayed { until }));
    }
}

#[test]
fn deaths_are_forgotten_only_after_a_run_that_came_to_an_end_of_its_own() {
    let properties = Properties::of_headers([(DELIVERY_COUNT, 3_i64.into())]);
    let envelope = Envelope::of_test(JOBS_EXCHANGE, "users", properties, "x");
    let counts_deaths = |outcome: &Outcome| {
        let successor = settle(outcome, Source::Users).successor(&envelope, "w", NOW);
        let headers = successor.unwrap().headers;
        headers
            .iter()
            .any(|(name, _)| *name == crate::queue::headers::DEATHS)
    };

    for outcome in [
        delay(),
        Outcome::MoveToArchiveLane(None),
        Outcome::Interrupted(Interrupt::SliceOver),
    ] {
        assert!(!counts_deaths(&outcome), "{outcome:?}");
    }
    for outcome in [
        Outcome::NotDue { until: NOW },
        Outcome::Interrupted(Interrupt::Draining),
        Outcome::Interrupted(Interrupt::LeaseLost),
        systemic(),
    ] {
        assert!(counts_deaths(&outcome), "{outcome:?}");
    }
}

#[test]
fn a_dead_letter_says_why_and_its_error_fits_into_a_frame() {
    let envelope = Envelope::of_test(JOBS_EXCHANGE, "users", Properties::default(), "x");
    let outcome = dead_letter();
    let successor = settle(&outcome, Source::Users).successor(&envelope, "w-1", NOW);
    let successor = successor.unwrap();
    assert_eq!(successor.route, Route::DeadLetters);

    let properties = Properties::of_headers(successor.headers);
    let text = |name| properties.text(name).unwrap();
    assert_eq!(text(dead_letter::REASON), "api_rejected");
    assert_eq!(text(dead_letter::CODE), "cxone_rejected");
    assert_eq!(text(dead_letter::STEP), "clear_queues");
    assert_eq!(text(dead_letter::AT), NOW.to_string());
    assert_eq!(text(dead_letter::WORKER), "w-1");
    let error = text(dead_letter::ERROR);
    assert_eq!(error.chars().count(), MAX_ERROR_CHARS + 1);
    assert!(error.ends_with('…'));
}

#[test]
fn a_delay_says_why_and_a_placeholder_says_since_when() {
    let outcome = systemic();
    let reason = settle(&outcome, Source::Users).delay_reason().unwrap();
    assert_eq!(reason.code, Some(Code::CxoneUnauthorized));
    assert_eq!(reason.until, NOW + AFTER_SYSTEMIC);
    assert_eq!(
        settle(&Outcome::Obsolete, Source::Users).delay_reason(),
        None
    );

    let headers = placeholder(NOW).headers;
    let names: Vec<&str> = headers.iter().map(|(name, _)| *name).collect();
    assert!(names.contains(&NOT_BEFORE) && names.contains(&PLACEHOLDER_SINCE));
}

#[test]
fn the_access_lane_announces_that_access_is_gone_and_the_archive_lane_does_not() {
    let gone = access_gone();
    let moved = Outcome::MoveToArchiveLane(Some(Box::new(gone.clone())));
    assert_eq!(settle(&moved, Source::Users).access_gone(), Some(&gone));

    // The delivery came again after a crash, and the archive lane has finished the user by then.
    let finished = finished();
    for source in [Source::Users, Source::UsersUrgent] {
        assert_eq!(settle(&finished, source).access_gone(), Some(&gone));
    }
    assert_eq!(settle(&finished, Source::Archive).access_gone(), None);
    assert_eq!(settle(&delay(), Source::Users).access_gone(), None);
}
