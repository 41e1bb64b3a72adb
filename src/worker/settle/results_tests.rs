use super::*;
use crate::failure::Reason;
use crate::job::UserId;
use crate::machine::{Cancelled, DeletionOutcome, ManifestRef};
use crate::queue::Properties;

fn value(event: &ResultEvent) -> Value {
    let value: Value = serde_json::from_slice(&event.body).unwrap();
    assert_eq!(value["id"], event.id);
    value
}

#[test]
fn an_end_is_announced_alike_however_often() {
    let ended = Ended {
        user_id: "3F1F0D4E-9A51-4B4B-8F6C-1F9A4F9B7C11".parse().unwrap(),
        state: StateName::DeactivatedOnly,
        revision: 2,
        at: Timestamp::UNIX_EPOCH,
        request: Request {
            batch_id: Some("b-1".parse().unwrap()),
            ..Request::default()
        },
        manifest: Some(ManifestRef {
            key: "p/k.json".to_owned(),
            sha256: "ab".to_owned(),
        }),
        deletion: Some(Deletion {
            status: Some(409),
            code: Some("compliance_hold".to_owned()),
            ..Deletion::without_call(DeletionOutcome::Refused)
        }),
        access_gone: None,
    };
    let event = of_end(&ended, None);
    assert_eq!(event, of_end(&ended, None));
    assert_eq!(event.routing_key, "user.deactivated-only");
    let event = value(&event);
    assert_eq!(event["id"], "3f1f0d4e-9a51-4b4b-8f6c-1f9a4f9b7c11/2");
    assert_eq!(event["subject"], "3f1f0d4e-9a51-4b4b-8f6c-1f9a4f9b7c11");
    assert_eq!(event["data"]["status"], "DeactivatedOnly");
    assert_eq!(event["data"]["manifest"]["key"], "p/k.json");
    let deletion = json!({ "outcome": "refused", "status": 409, "code": "compliance_hold" });
    assert_eq!(event["data"]["deletion"], deletion);
    assert_eq!(
        (&event["data"]["batchId"], event["data"].get("requestedBy")),
        (&json!("b-1"), None)
    );
}

#[test]
fn a_dead_letter_without_a_user_has_no_subject() {
    let given_up = GivenUp {
        reason: Reason::MalformedMessage,
        error: "no message".to_owned(),
        code: None,
        state: None,
        attempts: 0,
    };
    let properties = Properties {
        correlation_id: Some("c".to_owned()),
        ..Properties::default()
    };
    let envelope = Envelope::of_test("offboarding", "users", properties, b"\xff");
    let event = value(&of_dead_letter(&envelope, &given_up, Timestamp::UNIX_EPOCH));
    assert_eq!(event.get("subject"), None);
    assert_eq!(
        (&event["data"]["code"], &event["data"]["state"]),
        (&json!("malformed_message"), &json!(""))
    );
    assert_eq!(event["type"], "offboarding.user.dead-lettered");
}
fn access_gone(request: Request) -> AccessGone {
    AccessGone {
        user_id: "3f1f0d4e-9a51-4b4b-8f6c-1f9a4f9b7c11"
            .parse::<UserId>()
            .unwrap(),
        evidence_revision: 2,
        at: Timestamp::from_millisecond(61_500).unwrap(),
        request,
    }
}

#[test]
fn that_access_is_gone_says_how_long_it_took_and_of_which_off_boarding_it_is() {
    let asked = |millis: i64| Some(Timestamp::from_millisecond(millis).unwrap());
    for (requested_at, received_at, seconds) in [
        (asked(1_500), asked(30_000), Some(60.0)),
        (None, asked(30_000), Some(31.5)),
        // A clock that is ahead.
        (asked(99_000), None, Some(0.0)),
        (None, None, None),
    ] {
        let gone = access_gone(Request {
            requested_at,
            received_at,
            ..Request::default()
        });
        let event = of_access_removed(&gone, Some("c-1"));
        assert_eq!(event.routing_key, "user.access-removed");
        let event = value(&event);
        assert_eq!(event["type"], "offboarding.user.access-removed");
        assert_eq!(
            event["id"],
            "3f1f0d4e-9a51-4b4b-8f6c-1f9a4f9b7c11/2/access-removed"
        );
        assert_eq!(event["time"], "1970-01-01T00:01:01.5Z");
        let data = &event["data"];
        assert_eq!(
            data.get("secondsSinceRequest").and_then(Value::as_f64),
            seconds
        );
        assert_eq!(
            (&data["revision"], &data["correlationId"]),
            (&json!(2), &json!("c-1"))
        );
    }
}

#[test]
fn the_end_of_a_batch_has_an_id_of_its_counts() {
    let batch = FinishedBatch {
        batch_id: "2026-11".parse().unwrap(),
        deleted: 5,
        deactivated_only: 2,
        dead_lettered: 1,
        cancelled: 0,
        at: Timestamp::UNIX_EPOCH,
        change: 8,
    };
    let event = of_batch(&batch);
    assert!(event.is_of_batch);
    assert_eq!(event.routing_key, "batch.finished");
    let event = value(&event);
    assert_eq!(event["id"], "2026-11/finished/5-2-1");
    assert_eq!(event["subject"], "2026-11");
    assert_eq!(
        event["data"],
        json!({ "batchId": "2026-11", "users": 8, "deleted": 5, "deactivatedOnly": 2, "deadLettered": 1, "cancelled": 0 })
    );
    let replayed = FinishedBatch {
        deleted: 6,
        dead_lettered: 0,
        ..batch.clone()
    };
    assert_ne!(value(&of_batch(&replayed))["id"], event["id"]);

    let cancelled = FinishedBatch {
        deleted: 4,
        cancelled: 1,
        ..batch
    };
    let event = value(&of_batch(&cancelled));
    assert_eq!(event["id"], "2026-11/finished/4-2-1-1");
    let data = &event["data"];
    assert_eq!((&data["users"], &data["cancelled"]), (&json!(8), &json!(1)));
}

#[test]
fn a_cancellation_of_a_user_is_one_event_with_who_and_why() {
    let cancelled = Cancelled {
        at: Timestamp::from_second(90).unwrap(),
        who: "ada".to_owned(),
        why: Some("a wrong list".to_owned()),
        batch_id: None,
        message_due: None,
        reactivation: None,
    };
    let end = CancelledEnd {
        user_id: "3f1f0d4e-9a51-4b4b-8f6c-1f9a4f9b7c11".parse().unwrap(),
        state: StateName::Archived,
        revision: 1,
        request: Request {
            batch_id: Some("b".parse().unwrap()),
            ..Request::default()
        },
        cancelled,
        access_gone: None,
    };

    let event = of_cancelled(&end, Some("c-1"));
    assert_eq!(event.routing_key, "user.cancelled");
    let event = value(&event);
    assert_eq!(event["type"], "offboarding.user.cancelled");
    assert_eq!(
        event["id"],
        "3f1f0d4e-9a51-4b4b-8f6c-1f9a4f9b7c11/cancelled/1970-01-01T00:01:30Z"
    );
    let expected = json!({
        "userId": "3f1f0d4e-9a51-4b4b-8f6c-1f9a4f9b7c11", "batchId": "b", "correlationId": "c-1", "revision": 1,
        "state": "Archived", "cancelledBy": "ada", "why": "a wrong list",
    });
    assert_eq!(event["data"], expected);
}
