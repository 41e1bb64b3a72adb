use super::super::dead_letter::tests::envelope;
use super::*;
use crate::queue::headers::dead_letter;

const ID: &str = "3f1f0d4e-9a51-4b4b-8f6c-1f9a4f9b7c11";
const ERROR: &str = "PUT: CXone answered 500 [cxone_server_error]";

fn minute(minute: i8) -> Timestamp {
    format!("2026-11-28T01:{minute:02}:00Z").parse().unwrap()
}

/// A dead letter of this minute; if it was replayed, of the replay of that minute and that fault.
fn dead_letter(at: i8, replayed: Option<(i8, &str)>) -> DeadLetter {
    let mut headers = vec![
        (dead_letter::REASON, "retries_exhausted".into()),
        (dead_letter::ERROR, ERROR.into()),
        (dead_letter::STATE, "QueuesCleared".into()),
        (dead_letter::AT, minute(at).to_string().into()),
    ];
    if let Some((replayed_at, fault)) = replayed {
        headers.extend([
            (dead_letter::REPLAYS, 1_i64.into()),
            (dead_letter::REPLAYED_FAULT, fault.into()),
            (
                dead_letter::REPLAYED_AT,
                minute(replayed_at).to_string().into(),
            ),
        ]);
    }
    DeadLetter::read(&envelope(ID, headers))
}

fn last(at: i8, got_past: usize, came_back: usize, otherwise: usize) -> LastReplay {
    LastReplay {
        at: minute(at),
        replayed: 10,
        followed: 10,
        got_past,
        came_back,
        otherwise,
        open: 10 - got_past - came_back - otherwise,
    }
}

fn seen(queue: &[&DeadLetter], last: Option<LastReplay>) -> Seen {
    let mut in_queue = InQueue::default();
    for one in queue {
        in_queue.add(one);
    }
    Seen {
        queue: in_queue,
        last,
    }
}

fn safety(seen: &Seen, dead_letter: &DeadLetter) -> Option<ReplaySafety> {
    seen.verdict(dead_letter).map(|verdict| verdict.safety)
}

#[test]
fn a_group_that_came_back_says_so_with_its_counts() {
    let fault = dead_letter(1, None).fingerprint;
    let back: Vec<_> = (1..=10)
        .map(|_| dead_letter(5, Some((3, fault.as_str()))))
        .collect();
    let queue: Vec<_> = back.iter().collect();
    let seen_again = seen(&queue, Some(last(3, 0, 10, 0)));
    let verdict = seen_again.verdict(&back[0]).unwrap();
    assert_eq!(verdict.safety, ReplaySafety::CameBack);
    assert_eq!(
        verdict.why,
        "came back for 10 of 10 after a replay, last at 2026-11-28T01:05:00Z: fix the cause, then \
         replay with a canary"
    );
    // Redis forgot the replay: the headers still say that they came back.
    let forgotten = seen(&queue, None);
    assert_eq!(safety(&forgotten, &back[0]), Some(ReplaySafety::CameBack));
    assert_eq!(forgotten.came_back().unwrap().of, None);
}

#[test]
fn what_came_back_for_one_counts_for_the_others_of_the_group_until_a_later_replay_passes() {
    let old = dead_letter(1, None);
    let fault = old.fingerprint.clone();
    let back = dead_letter(5, Some((3, fault.as_str())));
    let of_the_group = seen(&[&old, &back], Some(last(3, 0, 1, 0)));
    for one in [&old, &back] {
        assert_eq!(safety(&of_the_group, one), Some(ReplaySafety::CameBack));
    }

    let fixed = seen(&[&old, &back], Some(last(7, 1, 0, 0)));
    for one in [&old, &back] {
        assert_eq!(safety(&fixed, one), Some(ReplaySafety::Safe));
    }
    assert_eq!(fixed.came_back(), None);
}

#[test]
fn a_replay_that_passed_says_nothing_about_a_later_dead_letter() {
    let passed = seen(&[], Some(last(3, 10, 0, 0)));
    assert_eq!(
        safety(&passed, &dead_letter(1, None)),
        Some(ReplaySafety::Safe)
    );
    assert_eq!(safety(&passed, &dead_letter(4, None)), None);
    // Nor does one of which nothing is known, or that met another fault.
    for unclear in [last(3, 0, 0, 0), last(3, 5, 0, 1)] {
        let unclear = seen(&[], Some(unclear));
        assert_eq!(safety(&unclear, &dead_letter(1, None)), None);
    }
}

#[test]
fn a_dead_letter_of_the_last_replay_is_newer_than_it_whatever_the_clocks_say() {
    let fault = dead_letter(1, None).fingerprint;
    // The worker's clock is behind that of the operator.
    let back = dead_letter(2, Some((3, fault.as_str())));
    let passed = seen(&[&back], Some(last(3, 9, 0, 0)));
    assert_eq!(safety(&passed, &back), Some(ReplaySafety::CameBack));
}

#[test]
fn a_replayed_message_that_failed_with_another_fault_did_not_come_back() {
    assert!(!dead_letter(5, Some((3, "0badcafe0001"))).came_back);
    assert!(!dead_letter(5, None).came_back);
    // A dead letter of an earlier release does not say which fault was replayed.
    let headers = vec![
        (dead_letter::ERROR, ERROR.into()),
        (dead_letter::REPLAYS, 1_i64.into()),
    ];
    assert!(DeadLetter::read(&envelope(ID, headers)).came_back);
}
