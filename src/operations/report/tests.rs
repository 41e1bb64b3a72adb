//! What the store shows is what the report says, and no more.

use jiff::SignedDuration;

use super::row::Outcome;
use super::samples::{
    Leaver, after, cancel, deleted, population, refused, reporter, rows, user, wanted,
};
use super::{Checked, Row, Totals, Wanted, parse_from, parse_to};
use crate::adapters::directory::DirectoryStore;
use crate::machine::{Deletion, DeletionOutcome};
use crate::registers::{Order, PartRequests, store_part};

fn totals(rows: &[Row]) -> Totals {
    let mut totals = Totals::default();
    for row in rows {
        totals.add(row);
    }
    totals
}

#[tokio::test(start_paused = true)]
async fn every_kind_of_end_has_a_row_and_the_totals_add_up() {
    let place = tempfile::tempdir().unwrap();
    population(place.path()).await;
    let rows = rows(place.path(), wanted()).await;
    let ends: Vec<_> = rows.iter().map(|row| (row.user_id, row.outcome)).collect();
    let expected = [
        (1, Outcome::Deleted),
        (2, Outcome::DeactivatedOnly),
        (3, Outcome::DeactivatedOnly),
        (4, Outcome::Sealed),
        (5, Outcome::Archived),
        (6, Outcome::Discarded),
        (8, Outcome::Cancelled),
    ];
    assert_eq!(ends, expected.map(|(number, end)| (user(number), end)));
    let checks: Vec<&String> = rows.iter().flat_map(|row| &row.findings).collect();
    assert_eq!(checks, Vec::<&String>::new());

    let within: Vec<_> = rows.iter().map(|row| row.within_target).collect();
    // Exactly the target is within it; without a request nothing is said.
    assert_eq!(
        within,
        [
            Some(true),
            Some(false),
            Some(true),
            Some(true),
            None,
            None,
            None
        ]
    );
    let seconds: Vec<_> = rows
        .iter()
        .map(|row| row.access_gone_after_seconds)
        .collect();
    assert_eq!(seconds[..2], [Some(120.0), Some(2400.0)]);
    assert_eq!(rows[2].hold.as_ref().unwrap().who, "ada");
    assert_eq!(rows[5].asked_at, Some(after(5)));
    let why = rows[5].why_not_deleted.as_ref().unwrap();
    assert!(
        why.contains("user_not_found") && why.contains("by ada: left in 2019"),
        "{why}"
    );

    let totals = totals(&rows);
    let gone = &totals.access_gone;
    assert_eq!([gone.within_target, gone.late, gone.unknown], [3, 1, 3]);
    assert_eq!(gone.within_target + gone.late + gone.unknown, totals.asked);
    let ends = &totals.outcomes;
    assert_eq!(
        [ends.deleted, ends.refused, ends.held, ends.without_manifest],
        [1, 1, 1, 3]
    );
    assert_eq!(ends.cancelled, 1);
    let checks = &totals.checks;
    assert_eq!([checks.ok, checks.not_ok, checks.no_manifest], [3, 0, 4]);
    assert_eq!((totals.on_hold, totals.asked_at_unknown), (1, 2));
}

#[tokio::test]
async fn a_user_of_an_order_has_an_end_or_is_open() {
    let place = tempfile::tempdir().unwrap();
    let [ended, before, named] = [1, 2, 3].map(|number| Leaver::new(number, 2));
    let store = DirectoryStore::open(place.path()).unwrap();
    let order = async |minutes: i64, users: &[u8]| {
        let order = Order {
            at: after(minutes),
            why: Some("left".to_owned()),
            batch_id: Some("q4".parse().unwrap()),
            ..Order::sample(users.len() as u64)
        };
        let ids = users.iter().map(|number| user(*number)).collect();
        store_part(&store, &order, 1, ids, PartRequests::default())
            .await
            .unwrap()
    };
    // One that ended after the order, one before it, one whose manifest names it although its clock is behind.
    order(1, &[1, 6, 8]).await;
    let later = order(3, &[2, 3]).await;
    ended.store_whole(place.path());
    before.store_whole(place.path());
    let mut named = named;
    named.request.order = Some(later);
    named.store_whole(place.path());
    cancel(place.path(), 8, after(20)).await;

    let rows = rows(place.path(), wanted()).await;
    let ends: Vec<_> = rows.iter().map(|row| (row.user_id, row.outcome)).collect();
    let expected = [
        (1, Outcome::Deleted),
        (2, Outcome::Deleted),
        (2, Outcome::Open),
        (3, Outcome::Deleted),
        (6, Outcome::Open),
        (8, Outcome::Cancelled),
    ];
    assert_eq!(ends, expected.map(|(number, end)| (user(number), end)));
    let open = &rows[4];
    assert_eq!(open.asked_at, Some(after(1)));
    assert_eq!(open.asked_by.as_deref(), Some("ada@host"));
    assert_eq!(open.reason.as_deref(), Some("left"));
    assert_eq!(open.batch_ids, ["q4".parse().unwrap()]);
    assert_eq!(totals(&rows).outcomes.open, 2);
}

#[tokio::test]
async fn the_period_and_the_batch_select_by_the_request() {
    let place = tempfile::tempdir().unwrap();
    let early = Leaver::new(1, 2);
    early.store_whole(place.path());
    let mut other = Leaver::new(2, 20);
    other.request.requested_at = Some(after(10));
    other.request.batch_id = Some("other".parse().unwrap());
    other.store_whole(place.path());
    let of = async |wanted: Wanted| -> Vec<_> {
        let rows = rows(place.path(), wanted).await;
        rows.iter().map(|row| row.user_id).collect()
    };
    // The second one was received before it was asked for, by the clock of the requester.
    assert_eq!(of(wanted()).await, [user(1), user(2)]);
    let since = after(1);
    assert_eq!(of(Wanted { since, ..wanted() }).await, [user(2)]);
    let until = after(0);
    assert!(of(Wanted { until, ..wanted() }).await.is_empty());
    let batch = Some("other".parse().unwrap());
    assert_eq!(of(Wanted { batch, ..wanted() }).await, [user(2)]);
}

#[tokio::test]
async fn a_later_deletion_is_the_end_of_the_off_boarding_that_removed_the_access() {
    let place = tempfile::tempdir().unwrap();
    let first = Leaver::new(1, 2);
    first.store_archive(place.path());
    first.store_seal(place.path());
    let not_requested = Deletion::without_call(DeletionOutcome::NotRequested);
    let why = Some("the request was to deactivate");
    let before = first.store_manifest(place.path(), (1, not_requested, why), None);
    let mut again = Leaver::new(1, 2);
    again.request.requested_at = Some(after(600));
    again.request.received_at = Some(after(600));
    again.request.batch_id = Some("deletions".parse().unwrap());
    let (_, deletion, why) = deleted();
    let last = again.store_manifest(place.path(), (2, deletion, why), Some(before));

    let rows = rows(place.path(), wanted()).await;
    let [row] = rows.as_slice() else {
        panic!("{rows:?}")
    };
    assert_eq!(
        (row.outcome, row.asked_at),
        (Outcome::Deleted, Some(after(0)))
    );
    assert_eq!(row.within_target, Some(true));
    let batches: Vec<String> = row.batch_ids.iter().map(ToString::to_string).collect();
    assert_eq!(batches, ["q4", "deletions"]);
    assert_eq!(row.manifest_sha256, Some(last.sha256));
    assert_eq!(
        (row.checked, row.findings.as_slice()),
        (Checked::Ok, &[][..])
    );
}

#[tokio::test]
async fn what_is_missing_or_changed_is_found_and_named() {
    let place = tempfile::tempdir().unwrap();
    let path = |name: &str| place.path().join(name);
    let ids = [1, 2, 3, 4].map(user);
    for number in 1..=4 {
        Leaver::new(number, 2).store_whole(place.path());
    }
    std::fs::remove_file(path(&format!("{}.json", ids[0]))).unwrap();
    std::fs::remove_file(path(&format!("{}_sealed.json", ids[1]))).unwrap();
    let manifest = path(&format!("{}_audit.json", ids[2]));
    let text = std::fs::read_to_string(&manifest).unwrap();
    std::fs::write(&manifest, text.replace("DELETED", "DEACTIVATED_ONLY")).unwrap();
    std::fs::write(path(&format!("{}_audit.json", ids[3])), "{").unwrap();

    let rows = rows(place.path(), wanted()).await;
    assert_eq!(rows.len(), 4);
    let starts = [
        (format!("{}.json: it is missing", ids[0]), Outcome::Deleted),
        (
            format!("{}_sealed.json: it is missing", ids[1]),
            Outcome::Deleted,
        ),
        (format!("{}_audit.json: ", ids[2]), Outcome::DeactivatedOnly),
        (
            format!("{}_audit.json: it is not a JSON", ids[3]),
            Outcome::Unreadable,
        ),
    ];
    for (row, (start, outcome)) in rows.iter().zip(&starts) {
        assert_eq!((row.checked, &row.outcome), (Checked::NotOk, outcome));
        assert!(
            row.findings[0].starts_with(start.as_str()),
            "{:?}",
            row.findings
        );
    }
    let totals = totals(&rows);
    assert_eq!(totals.checks.not_ok, 4);
    // A status that contradicts the deletion is not counted as an end.
    assert_eq!(
        (totals.outcomes.deleted, totals.outcomes.unreadable),
        (2, 2)
    );
}

#[tokio::test]
async fn a_time_that_contradicts_the_request_is_unknown_and_neither_early_nor_late() {
    let place = tempfile::tempdir().unwrap();
    let mut wrong = Leaver::new(1, 2);
    wrong.request.requested_at = Some(after(30));
    wrong.request.received_at = None;
    wrong.store_archive(place.path());
    wrong.store_seal(place.path());
    wrong.store_manifest(place.path(), refused(), None);
    let rows = rows(place.path(), wanted()).await;
    assert_eq!(rows[0].access_gone_at, Some(after(2)));
    assert_eq!(
        (rows[0].within_target, rows[0].access_gone_after_seconds),
        (None, None)
    );
}

#[test]
fn a_date_is_a_whole_day_in_utc() {
    let from = parse_from("2026-10-01").unwrap();
    assert_eq!(from.to_string(), "2026-10-01T00:00:00Z");
    let to = parse_to("2026-12-31").unwrap();
    assert_eq!(to.to_string(), "2027-01-01T00:00:00Z");
    assert_eq!(to.duration_since(from), SignedDuration::from_hours(92 * 24));
    let time = parse_to("2026-12-31T12:00:00+01:00").unwrap();
    assert_eq!(time.to_string(), "2026-12-31T11:00:00Z");
    for wrong in ["", "soon", "7d", "2026-13-01", "2026-10-01T00:00:00"] {
        assert!(parse_from(wrong).is_err(), "{wrong}");
    }
}

#[tokio::test]
async fn who_was_cancelled_is_shown_as_cancelled_and_a_later_request_is_not() {
    let place = tempfile::tempdir().unwrap();
    let sealed = Leaver::new(1, 2);
    sealed.store_archive(place.path());
    sealed.store_seal(place.path());
    Leaver::new(2, 2).store_archive(place.path());
    let mut again = Leaver::new(3, 40);
    again.request.requested_at = Some(after(30));
    again.request.received_at = Some(after(31));
    again.store_archive(place.path());
    again.store_seal(place.path());
    Leaver::new(4, 2).store_whole(place.path());
    for number in 1..=5 {
        cancel(place.path(), number, after(10)).await;
    }

    let found = rows(place.path(), wanted()).await;
    let ends: Vec<_> = found.iter().map(|row| (row.user_id, row.outcome)).collect();
    let expected = [
        (1, Outcome::Cancelled),
        (2, Outcome::Cancelled),
        (3, Outcome::Sealed),
        (4, Outcome::Deleted),
        (5, Outcome::Cancelled),
    ];
    assert_eq!(ends, expected.map(|(number, end)| (user(number), end)));
    for row in [&found[0], &found[1], &found[4]] {
        let order = row.cancelled.as_ref().unwrap();
        assert_eq!(
            (order.who.as_str(), order.why.as_deref(), order.at),
            ("ada", Some("comes back"), after(10))
        );
    }
    // The access of the first one is gone all the same.
    assert_eq!(found[0].access_gone_at, Some(after(2)));
    let since = after(11);
    let later = rows(place.path(), Wanted { since, ..wanted() }).await;
    assert!(later.iter().all(|row| row.user_id != user(5)), "{later:?}");
    let totals = totals(&found);
    assert_eq!(totals.outcomes.cancelled, 3);
    assert_eq!(totals.outcomes.without_manifest, 1);
}

#[tokio::test]
async fn a_user_who_was_discarded_twice_is_in_the_report_of_each_period() {
    let place = tempfile::tempdir().unwrap();
    let store = |name: &str, copy: serde_json::Value| {
        std::fs::write(place.path().join(name), copy.to_string()).unwrap();
    };
    let copy_of = |number: Option<u8>, minutes: i64| {
        let asked = after(minutes - 1);
        serde_json::json!({
            "letter": { "userId": number.map(user), "reason": "user_not_found", "deadLetteredAt": after(minutes) },
            "body": format!(r#"{{"requestedAt":"{asked}"}}"#),
        })
    };
    store("_dead_letter_00.json", copy_of(Some(1), 10));
    store("_dead_letter_01.json", copy_of(Some(1), 9_000));
    store("_dead_letter_02.json", copy_of(Some(1), 9_010));
    store("_dead_letter_03.json", copy_of(None, 10));
    store("_dead_letter_04.json", copy_of(None, -9_000));
    store("_dead_letter_05.json", serde_json::json!("not ours"));

    let asked = async |wanted: Wanted| -> Vec<_> {
        let rows = rows(place.path(), wanted).await;
        rows.iter().map(|row| row.asked_at.unwrap()).collect()
    };
    assert_eq!(asked(wanted()).await, [after(9)]);
    let later = Wanted {
        since: after(24 * 60),
        until: after(10_000),
        ..wanted()
    };
    assert_eq!(asked(later).await, [after(8_999), after(9_009)]);
    let reporter = reporter(place.path(), wanted()).await;
    assert_eq!(reporter.nameless_copies(), 2);
}

#[tokio::test]
async fn orders_in_doubt_are_said() {
    let place = tempfile::tempdir().unwrap();
    cancel(place.path(), 1, after(1)).await;
    let certain = reporter(place.path(), wanted()).await;
    assert_eq!(certain.orders_in_doubt, None);
    std::fs::write(place.path().join("_stop_order.2.json"), "{").unwrap();
    let doubtful = reporter(place.path(), wanted()).await;
    let doubt = doubtful.orders_in_doubt.unwrap();
    assert!(doubt.contains("_stop_order.2.json"), "{doubt}");
}
