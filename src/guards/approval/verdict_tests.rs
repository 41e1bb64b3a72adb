//! Who can approve a plan, and until when.

use super::*;
use crate::guards::approval::SignedInBy;

const HOUR: i64 = 3600;
const PLANNED: i64 = 1_000_000;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

/// Ada makes the plan and Olga sends it; Bob, Carol and Dora may approve.
fn people(names: &[&str]) -> People {
    let digest = |number: usize| format!("{number:064x}");
    let people: Vec<String> = names
        .iter()
        .enumerate()
        .map(|(number, name)| {
            let role = match *name {
                // Who may do all of it, so that nothing but the rule excludes them.
                "ada" | "olga" | "dora" => "admin",
                _ => "approver",
            };
            let second = if role == "admin" {
                format!(", break_glass_key_sha256 = '{}'", digest(100 + number))
            } else {
                String::new()
            };
            format!(
                "{{ name = '{name}', role = '{role}', key_sha256 = '{}'{second} }}",
                digest(number)
            )
        })
        .collect();
    People::parse(&format!("people = [{}]", people.join(", "))).unwrap()
}

fn act(person: &str, second: i64) -> Stored<PlanAct> {
    Stored {
        at: at(second),
        value: PlanAct {
            person: person.to_owned(),
            role: Role::Approver,
            signed_in_by: SignedInBy::Key,
            count: Some(3),
            why: None,
            at: at(second),
            break_glass: false,
        },
    }
}

fn emergency(person: &str, second: i64) -> Stored<PlanAct> {
    let mut act = act(person, second);
    act.value.break_glass = true;
    act
}

struct Case {
    acts: PlanActs,
    people: People,
    rule: ApprovalRule,
    now: i64,
}

impl Case {
    fn of(approvals: Vec<Stored<PlanAct>>) -> Self {
        Self {
            acts: PlanActs {
                approvals,
                ..PlanActs::default()
            },
            people: people(&["ada", "olga", "bob", "carol", "dora"]),
            rule: ApprovalRule {
                needed: crate::limits::ApprovalNeeded::Always,
                ..ApprovalRule::OFF
            },
            now: PLANNED + 2 * HOUR,
        }
    }

    fn judge(&self) -> Result<Approved, NotApproved> {
        let plan = PlanDocument {
            at: at(PLANNED),
            ..sample("ada")
        };
        judge(&Question {
            plan: &plan,
            planned_at: at(PLANNED),
            acts: &self.acts,
            people: &self.people,
            rule: self.rule,
            submitter: Some("olga"),
            now: at(self.now),
        })
    }

    fn why(&self) -> Pause {
        self.judge().unwrap_err().why
    }

    fn text(&self) -> String {
        self.judge().unwrap_err().text
    }

    fn names(&self) -> Vec<String> {
        let by = self.judge().unwrap().by.into_iter();
        by.map(|approval| approval.person).collect()
    }
}

#[test]
fn a_second_person_approves_and_neither_who_made_the_plan_nor_who_sent_it() {
    assert_eq!(Case::of(vec![act("bob", PLANNED + HOUR)]).names(), ["bob"]);
    for name in ["ada", "olga", "ADA", "eve"] {
        let case = Case::of(vec![act(name, PLANNED + HOUR)]);
        assert_eq!(case.why(), Pause::NotApproved, "{name}");
    }
    let text = Case::of(vec![act("ada", PLANNED)]).text();
    assert!(
        text.contains("0 of 1 approvals; may approve: bob, carol, dora"),
        "{text}"
    );
    assert!(text.contains("ada made the plan"), "{text}");
}

#[test]
fn a_person_counts_once() {
    let mut case = Case::of(vec![act("bob", PLANNED), act("BOB", PLANNED + 1)]);
    case.rule.approvers = 2;
    let text = case.text();
    assert!(
        text.contains("1 of 2 approvals; may approve: carol, dora"),
        "{text}"
    );
    case.acts.approvals.push(act("carol", PLANNED + 2));
    assert_eq!(case.names(), ["bob", "carol"]);
}

#[test]
fn an_approver_who_left_or_may_no_longer_approve_does_not_count() {
    let mut case = Case::of(vec![act("bob", PLANNED)]);
    case.people = people(&["ada", "olga", "carol"]);
    let text = case.text();
    assert!(
        text.contains("may approve: carol; does not count: bob is no longer"),
        "{text}"
    );
    case.people = People::parse("people = [{ name = 'bob', role = 'operator' }]").unwrap();
    assert_eq!(case.why(), Pause::NotApproved);
}

#[test]
fn an_approval_comes_in_time_and_permits_a_deletion_for_a_time() {
    let case = |approved: i64, now: i64| {
        let mut case = Case::of(vec![act("bob", PLANNED + approved * HOUR)]);
        case.now = PLANNED + now * HOUR;
        case
    };
    let execution = 14 * 24;
    assert_eq!(case(72, 73).names(), ["bob"]);
    assert_eq!(case(73, 74).why(), Pause::PlanExpired);
    assert_eq!(case(72, 72 + execution).names(), ["bob"]);
    assert_eq!(case(72, 73 + execution).why(), Pause::PlanExpired);

    let mut nobody = Case::of(Vec::new());
    nobody.now = PLANNED + 72 * HOUR;
    assert_eq!(nobody.why(), Pause::NotApproved);
    nobody.now = PLANNED + 73 * HOUR;
    assert_eq!(nobody.why(), Pause::PlanExpired);
    assert!(nobody.text().contains("not approved in time"));
}

#[test]
fn the_stores_clock_decides_and_an_object_that_was_stored_again_does_not_live_longer() {
    // The clock of who approved is 20 hours behind.
    let mut behind = act("bob", PLANNED + HOUR);
    behind.value.at = at(PLANNED - 19 * HOUR);
    assert_eq!(Case::of(vec![behind]).names(), ["bob"]);
    let mut again = act("bob", PLANNED + 30 * HOUR);
    again.value.at = at(PLANNED + HOUR);
    let mut case = Case::of(vec![again]);
    case.now = PLANNED + 31 * HOUR;
    assert_eq!(case.why(), Pause::NotApproved);
    assert!(case.text().contains("the archive store says"));
}

#[test]
fn whatever_else_was_approved_a_plan_that_was_stopped_stays_stopped() {
    let approved = || Case::of(vec![act("bob", PLANNED)]).acts;
    let by = || act("carol", PLANNED + 1);
    for (acts, why) in [
        (
            PlanActs {
                rejections: vec![by()],
                ..approved()
            },
            Pause::PlanRejected,
        ),
        (
            PlanActs {
                revocations: vec![by()],
                ..approved()
            },
            Pause::PlanRevoked,
        ),
        (
            PlanActs {
                withdrawn: Some(by()),
                ..approved()
            },
            Pause::PlanWithdrawn,
        ),
        (
            PlanActs {
                is_stale: true,
                ..approved()
            },
            Pause::PlanStale,
        ),
        (
            PlanActs {
                doubt: Some("x".to_owned()),
                ..approved()
            },
            Pause::PlanAltered,
        ),
    ] {
        let mut case = Case::of(Vec::new());
        case.acts = acts;
        assert_eq!(case.why(), why);
        case.acts.approvals.push(emergency("dora", PLANNED + 2));
        assert_eq!(case.why(), why, "not even an emergency");
    }
}

#[test]
fn an_admin_alone_approves_in_an_emergency_and_that_is_said() {
    let with = |approvals| {
        let mut case = Case::of(approvals);
        case.rule.approvers = 2;
        case
    };
    let approved = with(vec![emergency("dora", PLANNED)]).judge().unwrap();
    assert!(approved.is_break_glass());
    // Ada made the plan; Bob is no admin with a second key.
    for name in ["ada", "bob", "olga"] {
        let case = with(vec![emergency(name, PLANNED)]);
        assert_eq!(case.why(), Pause::NotApproved, "{name}");
    }
    // Where enough persons approved, it is not needed.
    let three = vec![
        emergency("dora", PLANNED),
        act("bob", PLANNED),
        act("carol", PLANNED),
    ];
    assert!(!with(three).judge().unwrap().is_break_glass());
}
