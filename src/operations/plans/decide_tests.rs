use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::adapters::directory::DirectoryStore;
use crate::clock::Clock;
use crate::guards::End;
use crate::guards::approval::{Fingerprint, Observed, PlannedUser};
use crate::limits::{ApprovalRule, DeletePolicy};
use crate::people::People;
use crate::ports::ArchiveStore;
use crate::profile::TenantProfile;
use crate::registers::plan::{PlanDraft, Planned, WrittenPlan, store_plan};

const PEOPLE: &str = "
[[people]]
name = 'ada'
role = 'admin'
[[people]]
name = 'bob'
role = 'approver'
[[people]]
name = 'eve'
role = 'approver'
[[people]]
name = 'root'
role = 'admin'
";

struct Scene {
    _directory: tempfile::TempDir,
    store: Arc<dyn ArchiveStore>,
    people: People,
    clock: Clock,
}

impl Scene {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        Self {
            store: Arc::new(DirectoryStore::open(directory.path()).unwrap()),
            _directory: directory,
            people: People::parse(PEOPLE).unwrap(),
            clock: Clock::system(),
        }
    }

    fn desk(&self) -> PlanDesk<'_> {
        PlanDesk {
            store: &self.store,
            people: &self.people,
            rule: ApprovalRule {
                needed: "always".parse().unwrap(),
                approvers: 1,
                ..ApprovalRule::OFF
            },
            clock: &self.clock,
        }
    }

    /// A plan of ada's with two deletions and one user who is held.
    async fn plan(&self) -> PlanName {
        let user = |number: u8, end| PlannedUser {
            user_id: format!("{number:08x}-9a51-4b4b-8f6c-1f9a4f9b7c11")
                .parse()
                .unwrap(),
            end,
            observed: Observed::default(),
            guard: None,
        };
        let users = vec![
            user(1, End::Delete),
            user(2, End::Delete),
            user(3, End::Held),
        ];
        let settings = Fingerprint::of(
            TenantProfile::Tutorial,
            DeletePolicy::Attempt,
            Duration::ZERO,
            None,
            String::new(),
        );
        let draft = PlanDraft {
            tenant: "https://api.example.com".to_owned(),
            batch: None,
            by: "ada".to_owned(),
            why: None,
            at: self.clock.now(),
            settings,
            rule_now: self.desk().rule,
            of: Planned::Users(users),
        };
        let WrittenPlan { name, .. } = store_plan(&*self.store, draft).await.unwrap();
        name
    }

    async fn decide(
        &self,
        plan: &PlanName,
        person: &str,
        decision: Decision,
    ) -> Result<PlanState, &'static str> {
        let by = Signatory {
            name: person.to_owned(),
            role: self.people.named(person).unwrap().role,
            signed_in_by: SignedInBy::Key,
            operator: Operator {
                who: person.to_owned(),
                why: None,
            },
        };
        match self.desk().decide(plan, decision, &by).await {
            Ok(view) => Ok(view.state),
            Err(PlanError::Refused(code, _)) => Err(code),
            Err(other) => panic!("{other}"),
        }
    }
}

const fn approve(count: u64) -> Decision {
    Decision::Approve {
        count,
        break_glass: false,
    }
}

#[tokio::test]
async fn another_person_approves_exactly_what_the_plan_says_and_never_the_one_who_made_it() {
    let scene = Scene::new();
    let plan = scene.plan().await;
    assert_eq!(
        scene.decide(&plan, "ada", approve(2)).await,
        Err("own_plan")
    );
    let emergency = Decision::Approve {
        count: 2,
        break_glass: true,
    };
    assert_eq!(scene.decide(&plan, "ada", emergency).await, Err("own_plan"));
    let wrong = scene.decide(&plan, "bob", approve(3)).await;
    assert_eq!(wrong, Err("count_changed"));
    let approved = scene.decide(&plan, "bob", approve(2)).await;
    assert_eq!(approved, Ok(PlanState::Approved));
    let again = scene.decide(&plan, "bob", approve(2)).await;
    assert_eq!(again, Err("already_approved"));
}

#[tokio::test]
async fn a_rejection_ends_a_plan_and_so_do_a_revocation_and_a_withdrawal() {
    let scene = Scene::new();
    let plan = scene.plan().await;
    let early = scene.decide(&plan, "bob", Decision::Revoke).await;
    assert_eq!(early, Err("not_approved"));
    let foreign = scene.decide(&plan, "bob", Decision::Withdraw).await;
    assert_eq!(foreign, Err("not_your_plan"));
    scene.decide(&plan, "bob", approve(2)).await.unwrap();
    let revoked = scene.decide(&plan, "eve", Decision::Revoke).await;
    assert_eq!(revoked, Ok(PlanState::Revoked));
    let late = scene.decide(&plan, "eve", approve(2)).await;
    assert_eq!(late, Err("plan_ended"));

    for (person, decision, state) in [
        ("bob", Decision::Reject, PlanState::Rejected),
        ("ada", Decision::Withdraw, PlanState::Withdrawn),
        ("root", Decision::Withdraw, PlanState::Withdrawn),
    ] {
        let plan = scene.plan().await;
        assert_eq!(scene.decide(&plan, person, decision).await, Ok(state));
        assert_eq!(
            scene.decide(&plan, "eve", approve(2)).await,
            Err("plan_ended")
        );
    }
}

#[tokio::test]
async fn a_plan_is_found_by_the_beginning_of_its_digest_if_that_names_one() {
    let scene = Scene::new();
    let plan = scene.plan().await;
    let digest = plan.to_string();
    let desk = scene.desk();
    assert_eq!(desk.find(&digest).await.unwrap(), plan);
    assert_eq!(desk.find(&digest[..8].to_uppercase()).await.unwrap(), plan);
    let unknown = if digest.starts_with('0') { "1" } else { "0" }.repeat(8);
    for wrong in [&digest[..7], &unknown] {
        let refused = desk.find(wrong).await;
        assert!(matches!(refused, Err(PlanError::NoSuchPlan(_))), "{wrong}");
    }
    let absent = unknown.repeat(8).parse().unwrap();
    let refused = desk.open(&absent).await;
    assert!(matches!(refused, Err(PlanError::NoSuchPlan(_))));
}
