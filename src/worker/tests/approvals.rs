//! Deletions that a second person has to approve.

use std::path::Path;

use super::*;
use crate::guards::End;
use crate::guards::approval::{ActKind, PlanAct, PlannedUser, SignedInBy};
use crate::job::PlanName;
use crate::limits::{ApprovalRule, RateLimit};
use crate::machine::Pause;
use crate::people::Role;
use crate::registers::plan::{PlanDraft, Planned, store_act, store_plan};
use crate::registers::{Order, PartRequests, PeopleRegister, PeopleWatch, Place, store_part};

const PEOPLE: &str = "people = [
    { name = 'ada', role = 'admin' }, { name = 'olga', role = 'admin' },
    { name = 'bob', role = 'approver' }, { name = 'dora', role = 'admin',
      break_glass_key_sha256 = '00000000000000000000000000000000000000000000000000000000000000aa' },
]";

fn rule(needed: &str) -> ApprovalRule {
    ApprovalRule {
        needed: needed.parse().unwrap(),
        ..ApprovalRule::OFF
    }
}

impl Bench {
    async fn guarded(users: usize, needed: &str) -> Self {
        let mut bench = Self::new(users).await;
        std::fs::write(bench.people_file(), PEOPLE).unwrap();
        bench.guard(needed).await;
        bench
    }

    fn people_file(&self) -> std::path::PathBuf {
        self.directory.path().join("people.toml")
    }

    /// As a worker that starts with these settings.
    async fn guard(&mut self, needed: &str) {
        let place = Place::File(self.people_file());
        let people = PeopleWatch::begin(PeopleRegister::at(place)).await;
        // What was read is good for ten seconds only, and a machine may be slow.
        let reading = Arc::clone(&people);
        tokio::spawn(async move { reading.keep_reading().await });
        let off = ApprovalGuard::off();
        let tenant = "https://api.example.com".to_owned();
        let fingerprint = off.fingerprint(String::new());
        let guard = ApprovalGuard::new(rule(needed), Some(people), tenant, fingerprint);
        self.services.approval = Arc::new(guard);
        self.services.keep_approval_rule().await.unwrap();
    }

    /// Ada plans these users.
    async fn plan(&self, users: &[usize]) -> PlanName {
        let mut planned = Vec::new();
        for number in users {
            let user_id = self.user(*number);
            let observed = self.services.observe(user_id, 1).await.unwrap();
            planned.push(PlannedUser {
                user_id,
                end: End::Delete,
                observed,
                guard: None,
            });
        }
        let guard = &self.services.approval;
        let draft = PlanDraft {
            tenant: guard.tenant().to_owned(),
            batch: None,
            by: "ada".to_owned(),
            why: None,
            at: self.services.clock.now(),
            settings: guard.fingerprint(String::new()),
            rule_now: rule("always"),
            of: Planned::Users(planned),
        };
        let store = &*self.services.archive_store;
        store_plan(store, draft).await.unwrap().name
    }

    async fn decide_plan(&self, plan: &PlanName, kind: ActKind, person: &str, break_glass: bool) {
        let act = PlanAct {
            person: person.to_owned(),
            role: Role::Approver,
            signed_in_by: SignedInBy::Key,
            count: None,
            why: None,
            at: self.services.clock.now(),
            break_glass,
        };
        let store = &*self.services.archive_store;
        store_act(store, plan, kind, &act).await.unwrap();
        self.services.approval.plans.forget(plan).await;
    }

    /// A message of an order of `users` users that this person sent.
    async fn ordered(
        &self,
        number: usize,
        users: u64,
        person: Option<&str>,
        plan: Option<&PlanName>,
    ) -> Outcome {
        let order = Order {
            person: person.map(str::to_owned),
            plan: plan.cloned(),
            ..Order::sample(users)
        };
        let store = &*self.services.archive_store;
        let ids = vec![self.user(number)];
        let name = store_part(store, &order, 1, ids, PartRequests::default())
            .await
            .unwrap();
        let request = Request {
            order: Some(name),
            message_sha256: Some("one".to_owned()),
            ..Request::default()
        };
        self.ask(number, request).await
    }

    async fn with_plan(&self, number: usize, plan: &PlanName) -> Outcome {
        self.ordered(number, 1, Some("olga"), Some(plan)).await
    }

    fn archive(&self) -> std::path::PathBuf {
        self.directory.path().join("archive")
    }

    /// Archived, with its access gone, and not sealed.
    async fn assert_waits_archived(&self, number: usize) {
        let checkpoint = self.services.checkpoints.read(self.user(number)).await;
        let checkpoint = checkpoint.unwrap().unwrap();
        assert_eq!(checkpoint.state.name(), StateName::Archived);
        assert_eq!(checkpoint.attempts, 0);
        assert!(!self.stored(number, "_sealed.json").exists());
        assert_eq!(self.count("delete_user"), 0);
    }
}

#[track_caller]
fn waits(outcome: Outcome, expected: Pause) {
    let Outcome::Delay {
        why, code: None, ..
    } = outcome
    else {
        panic!("does not wait: {outcome:?}");
    };
    assert_eq!(why, expected.to_string());
}

fn objects(archive: &Path, part: &str) -> usize {
    let names = std::fs::read_dir(archive).unwrap();
    let names = names.map(|entry| entry.unwrap().file_name());
    names
        .filter(|name| name.to_string_lossy().contains(part))
        .count()
}

#[tokio::test]
async fn a_user_is_archived_and_waits_and_a_later_message_with_an_approved_plan_lets_it_continue() {
    let bench = Bench::guarded(1, "always").await;
    waits(
        bench.ordered(0, 1, Some("olga"), None).await,
        Pause::NotApproved,
    );
    waits(bench.run(0).await, Pause::NotApproved);
    bench.assert_waits_archived(0).await;

    // The plan sees the user as it is now.
    let plan = bench.plan(&[0]).await;
    waits(bench.with_plan(0, &plan).await, Pause::NotApproved);
    // Neither who made the plan nor who sent the message is a second person.
    for person in ["ada", "olga"] {
        bench
            .decide_plan(&plan, ActKind::Approval, person, false)
            .await;
        waits(bench.with_plan(0, &plan).await, Pause::NotApproved);
    }
    bench
        .decide_plan(&plan, ActKind::Approval, "bob", false)
        .await;
    assert_eq!(state(&bench.with_plan(0, &plan).await), StateName::Deleted);
    let request = bench.manifest(0)["request"].clone();
    assert_eq!(request["plan"], plan.to_string());
    assert_eq!(request["approvals"][0]["person"], "bob");
    assert_eq!(request["approvals"][0]["breakGlass"], Value::Null);
    bench.assert_verified(0).await;
    // The one that waited finds it done.
    let waiting = bench.ordered(0, 1, Some("olga"), None).await;
    assert_eq!(state(&waiting), StateName::Deleted);
    assert_eq!(bench.count("delete_user"), 1);
}

#[tokio::test]
async fn a_plan_that_is_stopped_or_altered_or_of_others_permits_no_deletion() {
    let bench = Bench::guarded(2, "always").await;
    for (kind, why) in [
        (ActKind::Rejection, Pause::PlanRejected),
        (ActKind::Revocation, Pause::PlanRevoked),
        (ActKind::Withdrawal, Pause::PlanWithdrawn),
    ] {
        let plan = bench.plan(&[0]).await;
        bench
            .decide_plan(&plan, ActKind::Approval, "bob", false)
            .await;
        bench.decide_plan(&plan, kind, "dora", false).await;
        waits(bench.with_plan(0, &plan).await, why);
    }

    let plan = bench.plan(&[0]).await;
    bench
        .decide_plan(&plan, ActKind::Approval, "bob", false)
        .await;
    waits(bench.with_plan(1, &plan).await, Pause::NotApproved);
    waits(
        bench.ordered(0, 1, None, Some(&plan)).await,
        Pause::NotApproved,
    );
    let stored = bench.archive().join(format!("_plan_{plan}.json"));
    let text = std::fs::read_to_string(&stored).unwrap();
    std::fs::write(&stored, text.replace("ada", "eve")).unwrap();
    let mut fresh = bench;
    fresh.guard("always").await;
    waits(fresh.with_plan(0, &plan).await, Pause::PlanAltered);
    std::fs::write(&stored, text).unwrap();
    fresh.services.approval.plans.forget(&plan).await;
    assert_eq!(state(&fresh.with_plan(0, &plan).await), StateName::Deleted);
}

#[tokio::test]
async fn an_approver_who_leaves_the_people_file_no_longer_counts() {
    let mut bench = Bench::guarded(1, "always").await;
    let plan = bench.plan(&[0]).await;
    bench
        .decide_plan(&plan, ActKind::Approval, "bob", false)
        .await;
    std::fs::write(bench.people_file(), PEOPLE.replace("bob", "carol")).unwrap();
    bench.guard("always").await;
    waits(bench.with_plan(0, &plan).await, Pause::NotApproved);
    bench.assert_waits_archived(0).await;
    std::fs::write(bench.people_file(), PEOPLE).unwrap();
    bench.guard("always").await;
    assert_eq!(state(&bench.with_plan(0, &plan).await), StateName::Deleted);
}

#[tokio::test]
async fn a_user_who_is_active_again_is_not_deleted_and_too_many_such_users_stop_the_plan() {
    let bench = Bench::guarded(4, "always").await;
    let plan = bench.plan(&[0, 1, 2, 3]).await;
    for number in 0..3 {
        waits(bench.with_plan(number, &plan).await, Pause::NotApproved);
    }
    bench
        .decide_plan(&plan, ActKind::Approval, "bob", false)
        .await;
    for number in [0, 1] {
        let again = json!({ "id": bench.user(number).to_string() });
        bench
            .simulator
            .put_user(serde_json::from_value(again).unwrap());
        waits(bench.with_plan(number, &plan).await, Pause::PlanMoved);
        waits(
            bench.with_plan(number, &plan).await,
            if number == 0 {
                Pause::PlanMoved
            } else {
                Pause::PlanStale
            },
        );
        if number == 0 {
            assert_eq!(state(&bench.with_plan(2, &plan).await), StateName::Deleted);
        }
    }
    waits(bench.with_plan(3, &plan).await, Pause::PlanStale);
    assert_eq!(bench.count("delete_user"), 1);
    assert_eq!(objects(&bench.archive(), ".moved."), 2);
    assert_eq!(objects(&bench.archive(), ".stale."), 1);
}

#[tokio::test]
async fn a_user_who_was_hired_again_while_waiting_is_not_deleted_although_redis_lost_everything() {
    let mut bench = Bench::guarded(2, "always").await;
    let plan = bench.plan(&[0, 1]).await;
    for number in [0, 1] {
        waits(bench.with_plan(number, &plan).await, Pause::NotApproved);
    }
    let again = json!({ "id": bench.user(0).to_string() });
    bench
        .simulator
        .put_user(serde_json::from_value(again).unwrap());
    bench
        .decide_plan(&plan, ActKind::Approval, "bob", false)
        .await;
    bench.forget_checkpoints();
    waits(bench.with_plan(0, &plan).await, Pause::PlanMoved);
    // The message asks for the access to go, and that needs no approval.
    let account = bench.services.tenant.account(bench.user(0)).await.unwrap();
    assert_eq!(account.account.unwrap().active, Some(false));
    assert_eq!(state(&bench.with_plan(1, &plan).await), StateName::Deleted);
    waits(bench.with_plan(0, &plan).await, Pause::PlanMoved);
    assert_eq!(bench.count("delete_user"), 1);
    assert_eq!(objects(&bench.archive(), ".moved."), 1);
}

#[tokio::test]
async fn a_requester_has_a_number_of_deletions_a_day_without_an_approval_also_when_the_count_is_lost()
 {
    let mut bench = Bench::guarded(6, "deletions:2").await;
    // An order of more users needs one in any case.
    waits(
        bench.ordered(0, 3, Some("olga"), None).await,
        Pause::NotApproved,
    );
    for number in [0, 1] {
        let ended = bench.ordered(number, 1, Some("olga"), None).await;
        assert_eq!(state(&ended), StateName::Deleted);
    }
    waits(
        bench.ordered(2, 1, Some("OLGA"), None).await,
        Pause::NotApproved,
    );
    // Another person has a count of their own, and so have all who are not known.
    let ended = bench.ordered(3, 1, Some("ada"), None).await;
    assert_eq!(state(&ended), StateName::Deleted);
    for number in [4, 5] {
        assert_eq!(state(&bench.run(number).await), StateName::Deleted);
    }
    waits(bench.ordered(2, 1, None, None).await, Pause::NotApproved);

    let lost = tempfile::tempdir().unwrap();
    let checkpoints = EmbeddedCheckpoints::open(lost.path(), Clock::system()).unwrap();
    bench.services.checkpoints = Arc::new(checkpoints);
    waits(
        bench.ordered(2, 1, Some("olga"), None).await,
        Pause::NotApproved,
    );
    let limited = RateLimit::parse("9/1h").unwrap();
    bench.services.guards.deletion_rate_limit = Some(limited);
    let ended = bench.ordered(2, 1, Some("ada"), None).await;
    assert_eq!(state(&ended), StateName::Deleted, "ada had one of two");
}

#[tokio::test]
async fn an_admin_breaks_the_glass_alone_and_the_manifest_says_so() {
    let bench = Bench::guarded(1, "always").await;
    let plan = bench.plan(&[0]).await;
    bench
        .decide_plan(&plan, ActKind::Approval, "bob", true)
        .await;
    waits(bench.with_plan(0, &plan).await, Pause::NotApproved);
    bench
        .decide_plan(&plan, ActKind::Approval, "dora", true)
        .await;
    assert_eq!(state(&bench.with_plan(0, &plan).await), StateName::Deleted);
    let approvals = bench.manifest(0)["request"]["approvals"].clone();
    assert_eq!(approvals[0]["person"], "dora");
    assert_eq!(approvals[0]["breakGlass"], true);
}

#[tokio::test]
async fn settings_that_are_weaker_than_the_rule_before_are_not_used() {
    let mut bench = Bench::guarded(1, "always").await;
    bench.guard("off").await;
    waits(bench.run(0).await, Pause::NotApproved);
    let instead = bench.services.approval.instead().unwrap();
    assert!(instead.contains("always"), "{instead}");
    bench.assert_waits_archived(0).await;
}
