use std::time::Duration;

use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::meddling::waits_for_its_deletion;
use super::{Bench, dead_letter, own, state};
use crate::failure::{Code, Reason};
use crate::job::Request;
use crate::machine::StateName;
use crate::registers::{Place, ProtectedSource};
use crate::steps::Interrupt;
use crate::worker::Outcome;

/// No test waits for it.
const AN_HOUR: Duration = Duration::from_hours(1);

#[tokio::test]
async fn an_account_is_already_gone_when_both_apis_say_so_and_not_by_one() {
    let mut bench = Bench::new(2).await;
    bench.services.guards.delete_grace = AN_HOUR;
    for number in [0, 1] {
        assert!(matches!(bench.run(number).await, Outcome::Delay { .. }));
    }
    let tenant = &bench.services.tenant;
    let deletion = tenant.ready_deletion(bench.user(0)).await.unwrap();
    deletion.send().await.unwrap();
    for operation in ["delete_user", "get_user"] {
        bench.strike(Some(1), operation, 0, None, &own(404, "not_found"));
    }
    bench.services.guards.delete_grace = Duration::ZERO;
    assert_eq!(state(&bench.off_board(0).await), StateName::Deleted);
    let deletion = bench.manifest(0)["deletion"].clone();
    assert_eq!(
        (&deletion["outcome"], &deletion["status"]),
        (&json!("already_gone"), &json!(404))
    );
    bench.assert_verified(0).await;

    let (reason, code, state, _) = dead_letter(bench.off_board(1).await);
    assert_eq!(
        (reason, code, state),
        (
            Reason::ApiRejected,
            Code::CxoneContradiction,
            StateName::Archived
        )
    );
    assert_eq!(bench.count("delete_user"), 3, "ours, and one of each run");
}

#[tokio::test]
async fn a_hold_that_comes_while_the_delete_waits_for_its_quota_or_for_a_new_token_holds() {
    for revoked in [false, true] {
        let (bench, quotas) = waits_for_its_deletion(Request::default()).await;
        if revoked {
            bench.strike(
                Some(0),
                "delete_user",
                0,
                Some(1),
                &json!({ "kind": "revoke_token" }),
            );
        }
        let hold = bench
            .directory
            .path()
            .join("archive")
            .join(format!("_hold_{}.1.json", bench.user(0)));
        // The routing that is read again, the place of the DELETE, and that of the second try.
        let record = json!({ "held": true, "who": "legal", "at": "2026-11-28T00:00:00Z" });
        quotas.arm(if revoked { 3 } else { 2 }, hold, record.to_string());
        assert_eq!(state(&bench.off_board(0).await), StateName::DeactivatedOnly);
        assert_eq!(bench.manifest(0)["deletion"]["outcome"], "held");
        let deletes = bench
            .simulator
            .ledger()
            .into_iter()
            .filter(|entry| entry.operation == "delete_user");
        let statuses: Vec<u16> = deletes.map(|entry| entry.status).collect();
        assert_eq!(statuses, if revoked { vec![401] } else { vec![] });
    }
}

#[tokio::test]
async fn a_run_that_has_to_end_after_its_delete_saves_what_was_answered() {
    let (bench, quotas) = waits_for_its_deletion(Request::default()).await;
    let draining = CancellationToken::new();
    let drain = draining.clone();
    // After the routing that is read again.
    quotas.act_at(2, move || drain.cancel());
    let outcome = bench.ask_until(0, Request::default(), &draining).await;
    assert_eq!(outcome, Outcome::Interrupted(Interrupt::Draining));
    assert_eq!(bench.count("delete_user"), 1);
    assert!(!bench.stored(0, "_audit.json").exists());
    let checkpoint = bench.services.checkpoints.read(bench.user(0)).await;
    let state = checkpoint.unwrap().unwrap().state;
    assert_eq!(state.name(), StateName::Deleted);

    assert_eq!(super::state(&bench.run(0).await), StateName::Deleted);
    assert!(bench.manifest(0)["deletion"]["status"].is_u64());
    bench.assert_verified(0).await;
}

#[tokio::test]
async fn a_look_at_the_guards_that_takes_longer_than_a_second_is_repeated_and_not_for_ever() {
    let mut bench = Bench::new(3).await;
    let list = bench.directory.path().join("protected.txt");
    std::fs::write(&list, "*@nobody.example\n").unwrap();
    // Each look reads the user's name, so that the reads count the looks.
    bench.services.protected = ProtectedSource::at(Place::File(list));
    assert_eq!(state(&bench.off_board(0).await), StateName::Deleted);
    let reads = bench.count("get_scim_user");
    let quick = reads as u64 - 1;
    let slow = json!({ "kind": "latency", "ms": 1_050 });
    bench.strike(Some(1), "get_scim_user", quick, Some(1), &slow);
    assert_eq!(state(&bench.off_board(1).await), StateName::Deleted);
    let once_more = bench.count("get_scim_user") - reads;
    assert!(
        once_more > reads,
        "{once_more} reads, and {reads} with a quick look"
    );
    bench.strike(Some(2), "get_scim_user", quick, None, &slow);
    assert_eq!(state(&bench.off_board(2).await), StateName::Deleted);
    assert_eq!(
        bench.count("get_scim_user") - once_more - reads,
        reads + 2,
        "three reads of the guards at most"
    );
}
