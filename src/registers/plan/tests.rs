//! What counts of what is stored about a plan.

use std::path::{Path, PathBuf};

use super::*;
use crate::adapters::directory::DirectoryStore;
use crate::clock::Clock;
use crate::failure::Code;
use crate::guards::End;
use crate::guards::approval::{
    ActKind, Fingerprint, Observed, PlanAct, PlanKind, PlannedUser, SignedInBy,
};
use crate::integrity::Integrity;
use crate::job::{PlanName, UserId};
use crate::limits::{ApprovalRule, DeletePolicy};
use crate::people::Role;
use crate::profile::TenantProfile;
use crate::secret::Secret;

fn user(number: usize) -> UserId {
    let text = format!("{number:08x}-9a51-4b4b-8f6c-1f9a4f9b7c11");
    text.parse().unwrap()
}

/// A store with a key, and one without.
fn stores(directory: &Path) -> [DirectoryStore; 2] {
    let key = Integrity::new(Some(&Secret::new(&"k".repeat(32))));
    let open = || DirectoryStore::open(directory).unwrap();
    [open().with_integrity(key), open()]
}

fn draft(of: Planned) -> PlanDraft {
    let profile = TenantProfile::Tutorial;
    let policy = DeletePolicy::Attempt;
    let grace = std::time::Duration::ZERO;
    PlanDraft {
        tenant: "https://api.example.com".to_owned(),
        batch: Some("b".parse().unwrap()),
        by: "ada".to_owned(),
        why: Some("they \"left\"\n\u{1f44b}".to_owned()),
        at: "2026-11-29T10:00:00Z".parse().unwrap(),
        settings: Fingerprint::of(profile, policy, grace, None, "5e".to_owned()),
        rule_now: ApprovalRule::OFF,
        of,
    }
}

fn planned(number: usize) -> PlannedUser {
    PlannedUser {
        user_id: user(number),
        end: if number.is_multiple_of(3) {
            End::Held
        } else {
            End::Delete
        },
        observed: Observed {
            active: Some(true),
            user_name: Some(format!("user-{number}@example.com")),
            queues: vec!["q".to_owned()],
            incarnation: 1,
        },
        guard: None,
    }
}

async fn stored(store: &DirectoryStore, users: usize) -> WrittenPlan {
    let users = (1..=users).rev().map(planned).collect();
    store_plan(store, draft(Planned::Users(users)))
        .await
        .unwrap()
}

fn act(person: &str) -> PlanAct {
    PlanAct {
        person: person.to_owned(),
        role: Role::Approver,
        signed_in_by: SignedInBy::Key,
        count: Some(2),
        why: None,
        at: Clock::system().now(),
        break_glass: false,
    }
}

async fn decide(store: &DirectoryStore, name: &PlanName, kind: ActKind, person: &str) {
    store_act(store, name, kind, &act(person)).await.unwrap();
}

fn path(directory: &Path, name: &PlanName, rest: &str) -> PathBuf {
    directory.join(format!("_plan_{name}{rest}.json"))
}

async fn doubt(store: &DirectoryStore, name: &PlanName) -> Option<String> {
    let now = read_now(store, name).await.unwrap();
    now.map_or_else(Some, |now| now.acts.doubt)
}

#[tokio::test]
async fn a_plan_is_canonical_json_and_its_name_is_the_digest() {
    let directory = tempfile::tempdir().unwrap();
    let [_, store] = stores(directory.path());
    let of = Planned::Rule(ApprovalRule::OFF);
    let written = store_plan(&store, draft(of)).await.unwrap();
    assert_eq!(written.plan.kind, PlanKind::Settings);
    let bytes = std::fs::read_to_string(path(directory.path(), &written.name, "")).unwrap();
    assert_eq!(
        bytes,
        concat!(
            r#"{"at":"2026-11-29T10:00:00Z","batch":"b","by":"ada","expires":"2026-12-02T10:00:00Z","#,
            r#""kind":"settings","parts":[],"rule":{"approvalExpirySeconds":259200,"approvers":1,"#,
            r#""executionExpirySeconds":1209600,"needed":"off"},"schema":1,"settings":{"deletes":true,"#,
            r#""graceSeconds":0,"profile":"tutorial","protectedSha256":"5e"},"tenant":"https://api.example.com","#,
            r#""totals":{"deactivateOnly":0,"delete":0,"done":0,"held":0,"notFound":0,"protected":0,"users":0},"#,
            r#""why":"they \"left\"\n"#,
            "\u{1f44b}\"}"
        )
    );
    let sha256 = crate::registers::named::digest(bytes.as_bytes());
    assert_eq!(written.name.to_string(), sha256);
}

#[tokio::test]
async fn each_user_of_a_plan_is_found_in_its_part_and_no_other_user_is() {
    let directory = tempfile::tempdir().unwrap();
    for store in stores(directory.path()) {
        let users = 2 * USERS_IN_PLAN_PART + 1;
        let WrittenPlan { name, plan } = stored(&store, users).await;
        assert_eq!(plan.parts.len(), 3);
        assert_eq!((plan.totals.users, plan.totals.held), (2001, 667));
        assert_eq!(plan.totals.delete, 1334);
        let plans = Plans::default();
        let now = plans.now(&store, &name).await.unwrap().unwrap();
        assert_eq!(now.plan, plan);
        for number in [1, 1000, 1001, 2000, 2001] {
            let found = plans.user(&store, &plan, user(number)).await.unwrap();
            assert_eq!(found, Some(planned(number)));
        }
        for number in [0, 2002] {
            let found = plans.user(&store, &plan, user(number)).await.unwrap();
            assert_eq!(found, None);
        }
        // Each is read once: it never changes.
        std::fs::remove_file(
            directory
                .path()
                .join(format!("_plan_part_{}.json", plan.parts[1].name)),
        )
        .unwrap();
        assert!(
            plans
                .user(&store, &plan, user(1500))
                .await
                .unwrap()
                .is_some()
        );
        let failure = Plans::default().user(&store, &plan, user(1500)).await;
        assert_eq!(failure.unwrap_err().code, Code::ArchiveConflict);
    }
}

#[tokio::test]
async fn what_people_decide_is_read_back_and_two_at_once_are_two_objects() {
    let directory = tempfile::tempdir().unwrap();
    let [store, _] = stores(directory.path());
    let name = stored(&store, 2).await.name;
    let both = futures_util::join!(
        decide(&store, &name, ActKind::Approval, "bob"),
        decide(&store, &name, ActKind::Approval, "carol")
    );
    assert_eq!(both, ((), ()));
    decide(&store, &name, ActKind::Withdrawal, "ada").await;
    let again = store_act(&store, &name, ActKind::Withdrawal, &act("ada")).await;
    assert_eq!(again.unwrap_err().code, Code::ArchiveConflict);
    mark_moved(
        &store,
        &name,
        user(1),
        Clock::system().now(),
        "x".to_owned(),
    )
    .await
    .unwrap();

    let acts = read_now(&store, &name).await.unwrap().unwrap().acts;
    let mut approvers: Vec<_> = acts.approvals.iter().map(|act| &act.value.person).collect();
    approvers.sort_unstable();
    assert_eq!(approvers, ["bob", "carol"]);
    assert!(acts.withdrawn.is_some() && acts.applied.is_none() && !acts.is_stale);
    assert_eq!(acts.moved, [user(1)].into());
    assert_eq!(acts.doubt, None);
    let plans = stored_plans(&store).await.unwrap();
    assert_eq!(plans.len(), 1, "neither parts nor decisions are plans");
    assert_eq!(plans[0].value, name);
}

#[tokio::test]
async fn a_plan_or_a_decision_that_was_changed_stops_the_plan() {
    let directory = tempfile::tempdir().unwrap();
    let [store, strangers] = stores(directory.path());
    let name = stored(&store, 2).await.name;
    decide(&store, &name, ActKind::Approval, "bob").await;
    assert_eq!(doubt(&store, &name).await, None);

    let plan = path(directory.path(), &name, "");
    let good = std::fs::read_to_string(&plan).unwrap();
    std::fs::write(&plan, good.replace("ada", "eve")).unwrap();
    assert!(doubt(&store, &name).await.unwrap().contains("was changed"));
    std::fs::remove_file(&plan).unwrap();
    assert!(doubt(&store, &name).await.unwrap().contains("not there"));
    std::fs::write(&plan, good).unwrap();

    // A decision of a stranger, one that was changed, a name that is not ours, and a number that is gone.
    decide(&strangers, &name, ActKind::Approval, "carol").await;
    let second = path(directory.path(), &name, ".approval.2");
    assert!(
        doubt(&store, &name)
            .await
            .unwrap()
            .contains("integrity code")
    );
    std::fs::remove_file(&second).unwrap();
    let first = path(directory.path(), &name, ".approval.1");
    let approval = std::fs::read_to_string(&first).unwrap();
    std::fs::write(&first, approval.replace("bob", "eve")).unwrap();
    assert!(
        doubt(&store, &name)
            .await
            .unwrap()
            .contains("integrity code")
    );
    std::fs::write(&first, &approval).unwrap();
    assert_eq!(doubt(&store, &name).await, None);
    for odd in [
        ".approval.01",
        ".approval",
        ".withdrawn.1",
        ".x",
        ".moved.x",
    ] {
        let odd = path(directory.path(), &name, odd);
        std::fs::write(&odd, &approval).unwrap();
        assert!(
            doubt(&store, &name)
                .await
                .unwrap()
                .contains("no such object")
        );
        std::fs::remove_file(&odd).unwrap();
    }
    decide(&store, &name, ActKind::Approval, "carol").await;
    std::fs::remove_file(&first).unwrap();
    assert!(doubt(&store, &name).await.unwrap().contains("missing"));
}

#[tokio::test(start_paused = true)]
async fn a_worker_reads_a_plan_once_a_minute() {
    let directory = tempfile::tempdir().unwrap();
    let [store, _] = stores(directory.path());
    let name = stored(&store, 2).await.name;
    let plans = Plans::default();
    let approvals = async || {
        let now = plans.now(&store, &name).await.unwrap().unwrap();
        now.acts.approvals.len()
    };
    assert_eq!(approvals().await, 0);
    decide(&store, &name, ActKind::Approval, "bob").await;
    tokio::time::advance(std::time::Duration::from_secs(58)).await;
    assert_eq!(approvals().await, 0);
    tokio::time::advance(std::time::Duration::from_secs(2)).await;
    assert_eq!(approvals().await, 1);
    decide(&store, &name, ActKind::Approval, "carol").await;
    assert_eq!(approvals().await, 1);
    plans.forget(&name).await;
    assert_eq!(approvals().await, 2);
}
