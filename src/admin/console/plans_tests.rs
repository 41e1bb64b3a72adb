use jiff::Timestamp;

use super::*;
use crate::admin::caller::SignIn;
use crate::guards::approval::{Observed, PlanKind, Totals};
use crate::people::Person;

const DIGEST: &str = "4f3a4f3a4f3a4f3a4f3a4f3a4f3a4f3a4f3a4f3a4f3a4f3a4f3a4f3a4f3a4f3a";

fn plan(state: PlanState) -> StoredPlan {
    StoredPlan {
        digest: DIGEST.parse().unwrap(),
        state,
        why_not: Some("0 of 1 approvals; may approve: <bob>".to_owned()),
        said: Some(Said {
            kind: PlanKind::Users,
            batch: Some("b-1".parse().unwrap()),
            by: "ada".to_owned(),
            why: Some("leave in November".to_owned()),
            at: Timestamp::UNIX_EPOCH,
            expires: Timestamp::UNIX_EPOCH,
            totals: Totals {
                users: 10_000,
                delete: 9_812,
                deactivate_only: 180,
                held: 6,
                protected: 2,
                ..Totals::default()
            },
            rule: None,
        }),
        approvals: Vec::new(),
        moved: 37,
        applied_at: None,
    }
}

fn person(name: &str, role: Role) -> Caller {
    Caller::person(&Person::keyless(name, role), SignIn::Session)
}

#[test]
fn a_plan_says_what_would_happen_and_its_digest_can_be_compared_by_eye() {
    let text = facts(&person("bob", Role::Approver), &plan(PlanState::Waiting)).into_string();
    for expected in [
        "10,000 users: 9,812 deletions, 180 end deactivated, 6 held, 2 protected.",
        "4f3a 4f3a 4f3a",
        "may approve: &lt;bob&gt;",
        "37. They wait and are not deleted",
        &format!("href=\"/plans/{DIGEST}/approve\""),
    ] {
        assert!(text.contains(expected), "{expected}: {text}");
    }
    assert!(!text.contains("/revoke"), "{text}");
}

#[test]
fn users_who_changed_are_named_and_how_many_of_them() {
    let user = |number: u8| MovedUser {
        user_id: format!("{number:08x}-9a51-4b4b-8f6c-1f9a4f9b7c11")
            .parse()
            .unwrap(),
        user_name: Some("<eve>\u{202e}".to_owned()),
    };
    let two = [user(1), user(2)];
    let all = moved(2, &two).into_string();
    assert!(all.contains("/users/00000002-9a51"), "{all}");
    assert!(
        all.contains("&lt;eve&gt;") && !all.contains('\u{202e}'),
        "{all}"
    );
    assert!(!all.contains("the first"), "{all}");
    let some = moved(1_204, &two).into_string();
    assert!(some.contains("the first 2 of 1,204"), "{some}");
    assert_eq!(moved(0, &[]).into_string(), "");
}

#[test]
fn who_asked_does_not_approve_and_a_role_sees_what_is_missing() {
    let waiting = plan(PlanState::Waiting);
    let own = decisions(&person("Ada", Role::Admin), &waiting).into_string();
    assert!(own.contains("You asked for this"), "{own}");
    assert!(!own.contains("/approve"), "{own}");
    assert!(own.contains("/withdraw"), "{own}");
    let operator = decisions(&person("olga", Role::Operator), &waiting).into_string();
    assert!(
        operator.contains("Needs the permission approve."),
        "{operator}"
    );
    assert!(operator.contains("may withdraw it"), "{operator}");
    let token = Caller::token(SignIn::OperatorToken, false);
    let token = decisions(&token, &waiting).into_string();
    assert!(token.contains("Only a person decides"), "{token}");
}

#[test]
fn what_has_ended_offers_nothing_and_what_is_approved_can_be_revoked() {
    let bob = person("bob", Role::Approver);
    for ended in PlanState::ALL {
        let offers = PlanChange::ALL
            .into_iter()
            .any(|change| change.fits(ended, PlanKind::Users));
        let is_open = matches!(ended, PlanState::Waiting | PlanState::Approved);
        assert_eq!(offers, is_open, "{ended:?}");
    }
    let text = decisions(&bob, &plan(PlanState::Approved)).into_string();
    assert!(
        text.contains("/revoke") && !text.contains("/approve"),
        "{text}"
    );
}

#[test]
fn unusual_users_come_first() {
    let user = |number: u8, end, guard: Option<&str>| PlannedUser {
        user_id: format!("{number:08x}-9a51-4b4b-8f6c-1f9a4f9b7c11")
            .parse()
            .unwrap(),
        end,
        observed: Observed::default(),
        guard: guard.map(str::to_owned),
    };
    let text = users(vec![
        user(1, End::Delete, None),
        user(2, End::Held, Some("on hold by <eve>")),
    ])
    .into_string();
    let [first, second] = ["00000002", "00000001"].map(|id| text.find(id).unwrap());
    assert!(first < second, "{text}");
    assert!(
        text.contains("1 of these are no simple deletions"),
        "{text}"
    );
    assert!(text.contains("&lt;eve&gt;"), "{text}");
}
