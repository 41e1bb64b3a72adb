//! The stricter rule stays, until a plan that was approved under it permits a weaker one.

use std::time::Duration;

use super::super::plan::{PlanDraft, Planned, read_now, store_act, store_plan};
use super::*;
use crate::adapters::directory::DirectoryStore;
use crate::guards::approval::{ActKind, Fingerprint, PlanAct, SignedInBy};
use crate::integrity::Integrity;
use crate::limits::DeletePolicy;
use crate::people::Role;
use crate::profile::TenantProfile;
use crate::secret::Secret;

fn rule(needed: &str, approvers: u32) -> ApprovalRule {
    ApprovalRule {
        needed: needed.parse().unwrap(),
        approvers,
        ..ApprovalRule::OFF
    }
}

fn now() -> Timestamp {
    crate::clock::Clock::system().now()
}

fn store(directory: &std::path::Path) -> DirectoryStore {
    let key = Integrity::new(Some(&Secret::new(&"k".repeat(32))));
    DirectoryStore::open(directory).unwrap().with_integrity(key)
}

async fn plan_of(store: &DirectoryStore, wanted: ApprovalRule) -> PlanName {
    let profile = TenantProfile::Tutorial;
    let draft = PlanDraft {
        tenant: "https://api.example.com".to_owned(),
        batch: None,
        by: "ada".to_owned(),
        why: None,
        at: now(),
        settings: Fingerprint::of(
            profile,
            DeletePolicy::Attempt,
            Duration::ZERO,
            None,
            String::new(),
        ),
        rule_now: rule("always", 2),
        of: Planned::Rule(wanted),
    };
    store_plan(store, draft).await.unwrap().name
}

async fn approve(store: &DirectoryStore, plan: &PlanName, person: &str) {
    let act = PlanAct {
        person: person.to_owned(),
        role: Role::Approver,
        signed_in_by: SignedInBy::Key,
        count: None,
        why: None,
        at: now(),
        break_glass: false,
    };
    store_act(store, plan, ActKind::Approval, &act)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_rule_that_was_in_force_stays_for_settings_that_are_weaker() {
    let directory = tempfile::tempdir().unwrap();
    let store = store(directory.path());
    let off = rule("off", 1);
    let in_force = keep_rule(&store, off, now()).await.unwrap();
    assert_eq!((in_force.rule, in_force.instead), (off, None));
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);

    keep_rule(&store, rule("deletions:50", 2), now())
        .await
        .unwrap();
    keep_rule(&store, rule("deletions:50", 2), now())
        .await
        .unwrap();
    let strictest = keep_rule(&store, rule("always", 1), now()).await.unwrap();
    assert_eq!(strictest.rule, rule("always", 2));
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 2);
    for weaker in [off, rule("deletions:50", 2), rule("always", 1)] {
        let in_force = rule_in_force(&store, weaker).await.unwrap();
        assert_eq!(in_force.rule, rule("always", 2));
        assert!(in_force.instead.unwrap().contains("weaker"), "{weaker}");
    }
    let same = rule_in_force(&store, rule("always", 2)).await.unwrap();
    assert_eq!(same.instead, None);
}

#[tokio::test]
async fn a_rule_in_doubt_lets_nobody_be_deleted_without_approval() {
    let directory = tempfile::tempdir().unwrap();
    let store = store(directory.path());
    let forged = r#"{"rule":{"needed":"off","approvers":1,"approvalExpirySeconds":1,"executionExpirySeconds":1},"at":"2026-01-01T00:00:00Z"}"#;
    std::fs::write(directory.path().join("_approval_rule.1.json"), forged).unwrap();
    let in_force = rule_in_force(&store, rule("off", 1)).await.unwrap();
    assert_eq!(in_force.rule, rule("always", 1));
    assert!(in_force.instead.unwrap().contains("in doubt"));
}

#[tokio::test]
async fn a_weaker_rule_needs_a_plan_that_was_approved_under_the_stricter_one() {
    let directory = tempfile::tempdir().unwrap();
    let store = store(directory.path());
    keep_rule(&store, rule("always", 2), now()).await.unwrap();
    let weaker = rule("deletions:50", 1);
    let plan = plan_of(&store, weaker).await;
    let people = "people = [
        { name = 'ada', role = 'admin' }, { name = 'bob', role = 'approver' },
        { name = 'carol', role = 'approver' }, { name = 'olga', role = 'operator' },
    ]";
    let people = People::parse(people).unwrap();
    let apply = async || {
        let now_of = read_now(&store, &plan).await.unwrap().unwrap();
        weaken_rule(&store, &now_of, &people, "olga", now())
            .await
            .unwrap()
    };
    for approver in ["ada", "bob"] {
        approve(&store, &plan, approver).await;
        assert_eq!(apply().await.unwrap_err().why, Pause::NotApproved);
    }
    let in_force = rule_in_force(&store, weaker).await.unwrap();
    assert_eq!(in_force.rule, rule("always", 2));

    approve(&store, &plan, "carol").await;
    assert_eq!(apply().await, Ok(weaker));
    let in_force = rule_in_force(&store, weaker).await.unwrap();
    assert_eq!((in_force.rule, in_force.instead), (weaker, None));
    // Still weaker is not what was approved.
    let off = rule_in_force(&store, rule("off", 1)).await.unwrap();
    assert_eq!(off.rule, weaker);
}
