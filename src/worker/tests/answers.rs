use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::{Bench, dead_letter, html, own, state, systemic};
use crate::adapters::http::LocalQuotas;
use crate::failure::{Code, Reason};
use crate::job::Action;
use crate::machine::StateName;
use crate::simulator::{EtagStyle, Options, Record};
use crate::worker::Outcome;

#[tokio::test]
async fn a_firewalls_page_is_a_systemic_fault_and_makes_no_dead_letter() {
    for status in [403, 404] {
        let bench = Bench::new(25).await;
        for operation in [
            "get_user",
            "get_routing_profile",
            "get_scim_user",
            "put_scim_user",
        ] {
            bench.strike(None, operation, 0, Some(200), &html(status));
        }
        for number in 0..25 {
            let failure = systemic(bench.run(number).await);
            assert_eq!(failure.code, Code::CxoneForeignAnswer);
            assert!(failure.text.contains("AkamaiGHost"), "{failure}");
        }
        assert_eq!(
            bench
                .services
                .probe(Code::CxoneForeignAnswer)
                .await
                .unwrap_err()
                .code,
            Code::CxoneForeignAnswer
        );
    }
}

#[tokio::test]
async fn a_firewalls_page_for_one_user_passes_or_uses_attempts_up_and_is_never_a_refusal() {
    let bench = Bench::new(2).await;
    for operation in [
        "get_user",
        "get_routing_profile",
        "get_scim_user",
        "put_scim_user",
        "delete_user",
    ] {
        bench.strike(Some(0), operation, 0, Some(1), &html(403));
    }
    assert_eq!(state(&bench.off_board(0).await), StateName::Deleted);
    assert_eq!(bench.manifest(0)["deletion"]["outcome"], "deleted");
    bench.strike(Some(1), "delete_user", 0, None, &html(403));
    let (reason, code, state, _) = dead_letter(bench.off_board(1).await);
    assert_eq!(
        (reason, code, state),
        (
            Reason::RetriesExhausted,
            Code::CxoneForeignAnswer,
            StateName::Archived
        )
    );
}

#[tokio::test]
async fn a_write_that_is_refused_to_one_after_the_other_is_systemic_and_reads_are_not_counted() {
    let bench = Bench::new(20).await;
    bench.strike(None, "put_scim_user", 0, Some(8), &own(400, "mutability"));
    for number in 0..4 {
        let (reason, code, state, text) = dead_letter(bench.run(number).await);
        assert_eq!(
            (reason, code, state),
            (
                Reason::ApiRejected,
                Code::CxoneRejected,
                StateName::QueuesCleared
            )
        );
        assert!(text.contains("400 mutability"), "{text}");
    }
    for number in 4..8 {
        let failure = systemic(bench.run(number).await);
        assert_eq!(failure.code, Code::CxoneRejected);
        assert!(
            failure.text.contains("5 users met this") || number > 4,
            "{failure}"
        );
        assert!(
            !bench.services.probe(failure.code).await.unwrap(),
            "no probe shows that it is over"
        );
    }
    for number in 4..8 {
        assert_eq!(state(&bench.off_board(number).await), StateName::Deleted);
    }
    // A probe shows whether a read is refused for every user.
    for number in 8..18 {
        bench.strike(
            Some(number),
            "get_routing_profile",
            0,
            None,
            &json!({ "kind": "status", "status": 400 }),
        );
        assert_eq!(dead_letter(bench.run(number).await).0, Reason::ApiRejected);
    }
    bench.strike(None, "get_routing_profile", 0, None, &own(403, "forbidden"));
    for number in 18..20 {
        assert_eq!(systemic(bench.run(number).await).code, Code::CxoneRejected);
    }
}

#[tokio::test]
async fn one_404_is_neither_gone_nor_cleared_nor_not_found() {
    let bench = Bench::new(1).await;
    for (operation, skip) in [
        // The read after the deletion, or the one beside the profile's.
        ("get_user", 0),
        ("get_routing_profile", 0),
        ("get_queue", 0),
        ("get_scim_user", 0),
        ("patch_queue", 0),
        ("patch_routing_profile", 0),
        ("put_scim_user", 0),
        ("delete_user", 0),
    ] {
        bench.strike(
            Some(0).filter(|_| !operation.contains("queue")),
            operation,
            skip,
            Some(1),
            &own(404, "not_found"),
        );
    }
    assert_eq!(state(&bench.off_board(0).await), StateName::Deleted);
    let manifest = bench.manifest(0);
    assert_eq!(
        (
            &manifest["deletion"]["outcome"],
            &manifest["deletion"]["status"]
        ),
        (&json!("deleted"), &json!(204))
    );
    assert_eq!(
        (
            &manifest["queueAssignmentsCleared"],
            &manifest["scimActive"]
        ),
        (&json!(true), &json!(false))
    );
    assert_eq!(bench.count("delete_user"), 2);
    bench.assert_verified(0).await;
}

#[tokio::test]
async fn scim_that_misses_a_user_whom_the_iam_api_knows_is_a_dead_letter_and_no_removal() {
    for fault in [
        own(404, "not_found"),
        json!({ "kind": "status", "status": 404 }),
        html(404),
    ] {
        let mut bench = Bench::new(1).await;
        bench.action = Action::Deactivate;
        bench.strike(Some(0), "get_scim_user", 0, None, &fault);
        let (reason, code, state, text) = dead_letter(bench.off_board(0).await);
        let expected = (
            Reason::ApiRejected,
            Code::CxoneContradiction,
            StateName::QueuesCleared,
        );
        assert_eq!((reason, code, state), expected, "{fault}");
        assert!(text.contains("SCIM is enabled"), "{text}");
        assert!(!bench.stored(0, "_audit.json").exists());
    }
    // Of a tenant without SCIM no page, and of a wrong path an answer that is not SCIM's, for nobody either.
    let bench = Bench::new(10).await;
    bench.strike(None, "get_scim_user", 0, Some(40), &html(404));
    for number in 0..10 {
        assert_eq!(
            systemic(bench.run(number).await).code,
            Code::CxoneContradiction
        );
    }
    let bench = Bench::new(8).await;
    bench.strike(None, "get_scim_user", 0, None, &own(404, "not_found"));
    for number in 0..4 {
        assert_eq!(dead_letter(bench.run(number).await).0, Reason::ApiRejected);
    }
    for number in 4..8 {
        assert_eq!(
            systemic(bench.run(number).await).code,
            Code::CxoneContradiction
        );
    }
}

#[tokio::test]
async fn a_user_whose_queues_nobody_can_name_loses_access_and_is_not_deleted() {
    let bench = Bench::new(1).await;
    bench.strike(
        Some(0),
        "get_routing_profile",
        0,
        None,
        &own(404, "not_found"),
    );
    assert_eq!(state(&bench.off_board(0).await), StateName::DeactivatedOnly);
    let manifest = bench.manifest(0);
    assert_eq!(
        (
            &manifest["queueAssignmentsCleared"],
            &manifest["scimActive"]
        ),
        (&json!(false), &json!(false))
    );
    assert_eq!(manifest["residual"][0]["kind"], "routing_profile");
    assert_eq!(
        (&manifest["deletion"]["outcome"], bench.count("delete_user")),
        (&json!("held"), 0)
    );
}

#[tokio::test]
async fn weak_etags_and_none_and_an_active_that_is_shown_only_while_true_are_no_obstacle() {
    for (etag_style, no_etags) in [(EtagStyle::Weak, false), (EtagStyle::Strong, true)] {
        let options = Options {
            queues: 2,
            users: 0,
            etag_style,
            no_etags,
            ..Options::default()
        };
        let mut bench = Bench::with(options, Arc::new(LocalQuotas::default()), None).await;
        bench.action = Action::Deactivate;
        let record =
            json!({ "id": "3f1f0d4e-9a51-4b4b-8f6c-1f9a4f9b7c11", "activeOnlyWhileTrue": true });
        bench
            .simulator
            .put_user(serde_json::from_value::<Record>(record).unwrap());
        assert_eq!(state(&bench.off_board(0).await), StateName::DeactivatedOnly);
        let manifest = bench.manifest(0);
        let puts = bench.count("put_scim_user");
        // The answer of the PUT still shows it.
        assert_eq!(
            (&manifest["scimActive"], puts),
            (
                &json!(false),
                if etag_style == EtagStyle::Weak { 2 } else { 1 }
            )
        );
        bench.assert_verified(0).await;
        // Nor does such a user count as one who came back.
        assert_eq!(state(&bench.off_board(0).await), StateName::DeactivatedOnly);
        assert_eq!(bench.count("put_scim_user"), puts);
    }
}

#[tokio::test]
async fn a_write_that_is_refused_as_changed_though_nothing_did_says_so() {
    let bench = Bench::new(1).await;
    bench.strike(
        Some(0),
        "put_scim_user",
        0,
        Some(5),
        &own(412, "precondition_failed"),
    );
    let Outcome::Delay { why, code, .. } = bench.run(0).await else {
        panic!("no failure that may pass")
    };
    assert_eq!(code, Some(Code::CxoneVersionConflict));
    assert!(why.contains("reads the same before and after"), "{why}");
    assert_eq!(state(&bench.off_board(0).await), StateName::Deleted);
}

#[tokio::test]
async fn a_next_page_elsewhere_is_systemic_and_shows_where() {
    let bench = Bench::new(2).await;
    let port = bench
        .simulator
        .base_uri()
        .rsplit(':')
        .next()
        .unwrap()
        .to_owned();
    let uri = format!("https://127.0.0.1:{port}/api/v2/conversations/details/query?cursor=secret");
    bench.strike(
        None,
        "query_conversations",
        0,
        Some(2),
        &json!({ "kind": "next_page", "uri": uri }),
    );
    for number in [0, 1] {
        let failure = systemic(bench.run(number).await);
        assert!(
            failure.text.contains(&format!("https://127.0.0.1:{port},")),
            "{failure}"
        );
        assert!(!failure.text.contains("secret"), "{failure}");
        assert!(
            !bench.services.probe(failure.code).await.unwrap(),
            "a probe has no second page"
        );
    }
    for number in [0, 1] {
        assert_eq!(
            state(&bench.off_board(number).await),
            StateName::Deleted,
            "nobody's attempt, nobody's end"
        );
    }
}

#[tokio::test]
async fn at_most_four_queues_are_read_at_a_time_and_written_one_by_one() {
    let options = Options {
        users: 1,
        queues: 9,
        latency: Duration::from_millis(20),
        ..Options::default()
    };
    let bench = Bench::with(options, Arc::new(LocalQuotas::default()), None).await;
    assert_eq!(state(&bench.off_board(0).await), StateName::Deleted);

    let ledger = bench.simulator.ledger();
    let of = |operation| {
        ledger
            .iter()
            .filter(move |call| call.operation == operation)
    };
    let beside = |operation, at| {
        of(operation)
            .filter(|call| call.started_at <= at && at < call.ended_at)
            .count()
    };
    assert!(of("get_queue").count() >= 9 && of("patch_queue").count() > 1);
    for read in of("get_queue") {
        assert!(beside("get_queue", read.started_at) <= 4, "{read:?}");
    }
    for written in of("patch_queue") {
        let at = written.started_at;
        assert_eq!(beside("patch_queue", at), 1, "{written:?}");
        assert_eq!(beside("get_queue", at), 0, "{written:?}");
    }
    let read_at_once = of("get_queue").any(|read| beside("get_queue", read.started_at) > 1);
    assert!(read_at_once, "{ledger:?}");
}
