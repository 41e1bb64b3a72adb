//! Moving users who still have access to the urgent lane.

use axum::Extension;
use axum::extract::State;
use maud::{Markup, html};
use serde_json::json;

use super::act::{Act, Confirm, URGENT, URGENT_LANE, done};
use super::asked::Asked;
use super::given::Given;
use super::page::{Menu, Page};
use super::{list, parts};
use crate::admin::api::{Api, urgent};
use crate::admin::caller::Caller;
use crate::admin::read::Body;
use crate::operations::urgent::MovedToUrgentLane;
use crate::people::Permission;

/// From this number on it is typed: a mistake would put very many before the others.
const TYPED_FROM: usize = 10;

fn act(given: &Given) -> Act {
    let users = given.words("users").len();
    Act {
        title: URGENT_LANE.to_owned(),
        menu: Menu::Access,
        path: URGENT.to_owned(),
        permission: Permission::Submit,
        button: URGENT_LANE,
        explanation: html! {
            p { "Workers take these users before all users who are not urgent. What was asked for stays as it is: the earliest time of the deletion, who asked, why, and the batch." }
            p { "Users who have no access any more, are finished, cancelled or unknown are left as they are, and are named." }
        },
        fields: html! {
            div {
                label for="users" { "User IDs, one a line, at most 100" }
                textarea #users name="users" rows="4" required { (given.get("users")) }
            }
        },
        confirm: (users >= TYPED_FROM).then(|| Confirm {
            label: format!("Type the number of users, {users}"),
        }),
    }
}

pub(super) async fn form(Extension(caller): Extension<Caller>, asked: Asked) -> Page {
    let given = Given::of(&[("users", &asked.all("user").join("\n"))]);
    act(&given).page(&caller, &given, None)
}

pub(super) async fn move_users(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    given: Given,
) -> Page {
    let change = async {
        caller.demand(Permission::Submit)?;
        let users = given.words("users");
        if users.len() >= TYPED_FROM {
            given.confirm(&users.len().to_string(), "The number of users")?;
        }
        let order = given.order(&caller, json!({ "users": users }))?;
        urgent::move_users(State(api), Extension(caller.clone()), Body(order)).await
    };
    match change.await {
        Ok(report) => {
            let act = act(&given);
            done(
                &act.title,
                act.menu,
                &became(&report.0),
                ["/access", "Who still has access"],
            )
        }
        Err(problem) => act(&given).page(&caller, &given, Some(&problem)),
    }
}

fn became(report: &MovedToUrgentLane) -> Markup {
    html! {
        p.answer { (parts::count(report.moved.len() as u64, "user")) " moved to the urgent lane." }
        @if !report.moved.is_empty() { ul { @for user in &report.moved { li { (list::user(*user)) } } } }
        @if !report.refused.is_empty() {
            p.fault { "Nothing was done to these:" }
            ul { @for one in &report.refused { li { (list::user(one.user_id)) ": " (one.text) "." } } }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::caller::SignIn;
    use crate::operations::urgent::{NotMoved, NotMovedReason};

    #[test]
    fn the_number_is_typed_from_ten_users_on() {
        let local = Caller::token(SignIn::Loopback, false);
        let text = |count: usize| {
            let given = Given::of(&[("users", &vec!["x"; count].join("\n"))]);
            act(&given).page(&local, &given, None).body.into_string()
        };
        assert!(!text(9).contains("Type the number"));
        assert!(text(10).contains("Type the number of users, 10"));
    }

    #[test]
    fn those_who_were_moved_and_those_who_were_not_are_named() {
        let user = |text: &str| text.parse().unwrap();
        let report = MovedToUrgentLane {
            moved: vec![user("3f1f0d4e-9a51-4b4b-8f6c-1f9a4f9b7c11")],
            refused: vec![NotMoved {
                user_id: user("00000000-9a51-4b4b-8f6c-1f9a4f9b7c11"),
                reason: NotMovedReason::NoAccess,
                text: "the access is removed already",
            }],
        };
        let text = became(&report).into_string();
        for expected in [
            "1 user moved",
            "/users/3f1f0d4e",
            "/users/00000000",
            "removed already.",
        ] {
            assert!(text.contains(expected), "{expected}: {text}");
        }
    }
}
