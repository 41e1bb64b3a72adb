//! Which requests the orders stop.

use super::*;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn user(number: u8) -> UserId {
    format!("{number:08x}-9a51-4b4b-8f6c-1f9a4f9b7c11")
        .parse()
        .unwrap()
}

fn batch(name: &str) -> BatchId {
    name.parse().unwrap()
}

fn order(act: StopAct, second: i64) -> StopOrder {
    StopOrder {
        act,
        who: format!("operator {second}"),
        why: None,
        at: at(second),
    }
}

fn asked(second: i64, of: Option<&str>) -> Request {
    Request {
        requested_at: Some(at(second)),
        batch_id: of.map(batch),
        ..Request::default()
    }
}

fn all(orders: &[StopOrder]) -> StopOrders {
    StopOrders::of(orders.iter(), None)
}

#[test]
fn the_first_order_that_covers_a_request_is_named_so_that_its_event_stays_the_same() {
    let users = || StopAct::CancelUsers {
        users: vec![user(1)],
    };
    let of_batch = StopAct::CancelBatch { batch: batch("b") };
    let orders = all(&[
        order(users(), 100),
        order(of_batch, 150),
        order(users(), 200),
    ]);
    let when = |request: &Request| {
        let cancelled = orders.cancelled(user(1), request, at(900));
        cancelled.map(|cancelled| (cancelled.at, cancelled.batch_id))
    };

    assert_eq!(when(&asked(50, Some("b"))), Some((at(100), None)));
    assert_eq!(
        when(&asked(120, Some("b"))),
        Some((at(150), Some(batch("b"))))
    );
    assert_eq!(when(&asked(120, Some("c"))), Some((at(200), None)));
    assert_eq!(when(&asked(201, Some("b"))), None);
    assert_eq!(orders.cancelled(user(2), &asked(50, None), at(900)), None);
    let last = orders.last_cancelled(user(1), Some(&batch("b")));
    assert_eq!(last, Some((at(200), "operator 200".to_owned())));
}

#[test]
fn the_last_order_about_the_pause_of_a_batch_counts_and_its_end_lifts_it() {
    let pause = |until| StopAct::PauseBatch {
        batch: batch("b"),
        until,
    };
    let resume = || StopAct::ResumeBatch { batch: batch("b") };

    let until = all(&[order(pause(Some(at(300))), 100)]);
    assert!(until.paused(&batch("b"), at(299)).is_some());
    assert!(until.paused(&batch("b"), at(300)).is_none());
    assert!(until.paused(&batch("c"), at(299)).is_none());

    let resumed = all(&[order(pause(None), 100), order(resume(), 101)]);
    assert!(resumed.paused(&batch("b"), at(999)).is_none());
    let again = all(&[
        order(pause(None), 100),
        order(resume(), 101),
        order(pause(None), 102),
    ]);
    assert_eq!(again.paused(&batch("b"), at(999)).unwrap().at, at(102));
}

#[test]
fn a_cancellation_comes_before_a_pause_and_no_batch_is_not_paused() {
    let orders = all(&[
        order(
            StopAct::PauseBatch {
                batch: batch("b"),
                until: None,
            },
            100,
        ),
        order(
            StopAct::CancelUsers {
                users: vec![user(1)],
            },
            100,
        ),
    ]);
    let stop = |number, of| orders.stop(user(number), &asked(50, of), at(900));
    assert!(matches!(stop(1, Some("b")), Some(Stop::Cancelled(_))));
    assert!(matches!(stop(2, Some("b")), Some(Stop::Paused(_))));
    assert_eq!(stop(2, None), None);
}

#[test]
fn the_stored_form_is_as_documented() {
    let stored = r#"{"act":{"what":"cancel_users","users":["00000001-9a51-4b4b-8f6c-1f9a4f9b7c11"]},"who":"ada","at":"1970-01-01T00:01:40Z"}"#;
    let read: StopOrder = serde_json::from_str(stored).unwrap();
    assert_eq!(serde_json::to_string(&read).unwrap(), stored);
    let later = r#"{"act":{"what":"explode"},"who":"ada","at":"1970-01-01T00:01:40Z"}"#;
    assert!(
        serde_json::from_str::<StopOrder>(later).is_err(),
        "an act of a later release puts the orders in doubt"
    );
}
