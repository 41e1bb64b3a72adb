//! Putting users on hold, lifting holds, and cancelling.

use axum::Extension;
use axum::extract::State;
use maud::{Markup, html};
use serde_json::json;

use super::act::{Act, Confirm, done};
use super::asked::Asked;
use super::given::Given;
use super::page::{Menu, Page};
use super::{list, parts};
use crate::admin::api::{Api, cancel, holds};
use crate::admin::caller::Caller;
use crate::admin::problem::Problem;
use crate::admin::read::{At, Body};
use crate::job::{BatchId, UserId};
use crate::operations::cancel::CancelReport;
use crate::people::Permission;

fn hold_act(lifts: bool, given: &Given) -> Act {
    let [title, path] = if lifts {
        ["Lift holds", "/holds/lift"]
    } else {
        ["Put users on hold", "/holds/add"]
    };
    let explanation = if lifts {
        "Without the hold a user can be deleted. One whose off-boarding ended at the hold is deleted only after `offboarder submit --action delete`."
    } else {
        "Users on hold are deactivated and archived, never deleted. Workers read the holds right before each deletion."
    };
    Act {
        title: title.to_owned(),
        menu: Menu::Holds,
        path: path.to_owned(),
        permission: if lifts {
            Permission::LiftHold
        } else {
            Permission::Hold
        },
        button: title,
        explanation: html! { p { (explanation) } },
        fields: html! {
            div {
                label for="users" { "User IDs, one a line, at most 100" }
                textarea #users name="users" rows="4" required { (given.get("users")) }
            }
        },
        confirm: lifts.then(|| Confirm {
            label: "Type the number of users".to_owned(),
        }),
    }
}

pub(super) async fn hold_form(Extension(caller): Extension<Caller>, asked: Asked) -> Page {
    let given = Given::of(&[("users", &asked.all("user").join("\n"))]);
    hold_act(false, &given).page(&caller, &given, None)
}

pub(super) async fn lift_form(Extension(caller): Extension<Caller>, asked: Asked) -> Page {
    let given = Given::of(&[("users", &asked.all("user").join("\n"))]);
    hold_act(true, &given).page(&caller, &given, None)
}

pub(super) async fn hold(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    given: Given,
) -> Page {
    let change = async {
        caller.demand(Permission::Hold)?;
        let order = given.order(&caller, json!({ "users": given.words("users") }))?;
        holds::add(State(api), Extension(caller.clone()), Body(order)).await
    };
    held(
        change.await.map(|changed| changed.0),
        false,
        &caller,
        &given,
    )
}

pub(super) async fn lift(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    given: Given,
) -> Page {
    let change = async {
        caller.demand(Permission::LiftHold)?;
        let users = given.words("users");
        given.confirm(&users.len().to_string(), "The number of users")?;
        let order = given.order(&caller, json!({ "users": users }))?;
        holds::remove(State(api), Extension(caller.clone()), Body(order)).await
    };
    held(change.await.map(|changed| changed.0), true, &caller, &given)
}

fn held(
    changed: Result<holds::Changed, Problem>,
    lifts: bool,
    caller: &Caller,
    given: &Given,
) -> Page {
    let act = hold_act(lifts, given);
    match changed {
        Ok(changed) => changed_page(&act.title, &changed, lifts),
        Err(problem) => act.page(caller, given, Some(&problem)),
    }
}

/// What a change of holds did.
pub(super) fn changed_page(title: &str, changed: &holds::Changed, lifts: bool) -> Page {
    let body = html! {
        p.answer {
            (parts::count(changed.users.len() as u64, "user")) @if lifts { ": no hold any more." } @else { ": on hold." }
        }
        @if !changed.already.is_empty() {
            p { "On hold before, so that those holds stay as they were set:" }
            ul { @for one in &changed.already { li { (list::user(one.user_id)) ", by " bdi { (one.who) } ", " (parts::time(one.at)) } } }
        }
        @if !changed.warnings.is_empty() {
            p.fault { "The hold may have come too late for:" }
            ul { @for warning in &changed.warnings { li { (list::user(warning.user_id)) ": " (warning.text) } } }
        }
    };
    done(title, Menu::Holds, &body, ["/holds", "Holds"])
}

fn cancel_act(path: &str, what: &str, confirm: Option<Confirm>) -> Act {
    Act {
        title: format!("Cancel {what}"),
        menu: Menu::Batches,
        path: format!("{path}/cancel"),
        permission: Permission::Submit,
        button: "Cancel the request",
        explanation: html! {
            p { "A request that was not begun is dropped, and the user keeps the access. One that was begun stops at its checkpoint, and the user is not deleted; the access that was removed stays removed. Users who are finished stay so." }
        },
        fields: html! {},
        confirm,
    }
}

fn batch_act(batch: &BatchId) -> Act {
    let confirm = Confirm {
        label: format!("Type the name of the batch, {batch}"),
    };
    cancel_act(
        &format!("/batches/{batch}"),
        &format!("batch {batch}"),
        Some(confirm),
    )
}

fn user_act(user: UserId) -> Act {
    cancel_act(&format!("/users/{user}"), &format!("user {user}"), None)
}

pub(super) async fn cancel_batch_form(
    Extension(caller): Extension<Caller>,
    At(batch): At<BatchId>,
) -> Page {
    batch_act(&batch).page(&caller, &Given::default(), None)
}

pub(super) async fn cancel_user_form(
    Extension(caller): Extension<Caller>,
    At(user): At<UserId>,
) -> Page {
    user_act(user).page(&caller, &Given::default(), None)
}

pub(super) async fn cancel_batch(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    At(batch): At<BatchId>,
    given: Given,
) -> Page {
    let change = async {
        caller.demand(Permission::Submit)?;
        given.confirm(&batch.to_string(), "The name of the batch")?;
        let order = given.order(&caller, json!({}))?;
        cancel::batch(
            State(api),
            Extension(caller.clone()),
            At(batch.clone()),
            Body(order),
        )
        .await
    };
    let path = format!("/batches/{batch}");
    match change.await {
        Ok(report) => cancelled(&batch_act(&batch), &report.0, [&path, "The batch"]),
        Err(problem) => batch_act(&batch).page(&caller, &given, Some(&problem)),
    }
}

pub(super) async fn cancel_user(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    At(user): At<UserId>,
    given: Given,
) -> Page {
    let change = async {
        caller.demand(Permission::Submit)?;
        let order = given.order(&caller, json!({}))?;
        cancel::user(State(api), Extension(caller.clone()), At(user), Body(order)).await
    };
    let path = format!("/users/{user}");
    match change.await {
        Ok(report) => cancelled(&user_act(user), &report.0, [&path, "The user"]),
        Err(problem) => user_act(user).page(&caller, &given, Some(&problem)),
    }
}

fn cancelled(act: &Act, report: &CancelReport, back: [&str; 2]) -> Page {
    let named = |words: &str, users: &[UserId]| {
        html! {
            @if !users.is_empty() { p { (words) } ul { @for user in users { li { (list::user(*user)) } } } }
        }
    };
    let body: Markup = html! {
        p.answer {
            (parts::count(report.cancelled, "request")) " cancelled; " (parts::number(report.keep_access)) " of the users keep their access."
        }
        (named("A worker has these now; they stop at their next checkpoint, and are not deleted:", &report.stopping))
        (named("Finished before, so that nothing is changed:", &report.finished))
        (named("Nothing is stored of these; a message that asks for them is dropped:", &report.not_known))
        (named("Asked for in another batch, or later, so that this request continues:", &report.asked_otherwise))
        @if !report.too_late.is_empty() {
            p.fault { "Too late, or not known:" }
            ul { @for one in &report.too_late { li { (list::user(one.user_id)) ": " (one.text) } } }
        }
    };
    done(&act.title, act.menu, &body, back)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::caller::SignIn;

    const USER: &str = "3f1f0d4e-9a51-4b4b-8f6c-1f9a4f9b7c11";

    #[test]
    fn lifting_wants_the_number_of_users_and_holding_does_not() {
        let local = Caller::token(SignIn::Loopback, false);
        let given = Given::of(&[("users", USER)]);
        let text = hold_act(true, &given)
            .page(&local, &given, None)
            .body
            .into_string();
        assert!(
            text.contains("Type the number of users") && text.contains(USER),
            "{text}"
        );
        let text = hold_act(false, &given)
            .page(&local, &given, None)
            .body
            .into_string();
        assert!(!text.contains("Type the number"), "{text}");
    }

    #[test]
    fn a_cancellation_that_came_too_late_is_said() {
        let user: UserId = USER.parse().unwrap();
        let report = CancelReport {
            cancelled: 2,
            keep_access: 1,
            finished: vec![user],
            ..CancelReport::default()
        };
        let text = cancelled(&user_act(user), &report, ["/x", "x"])
            .body
            .into_string();
        assert!(
            text.contains("2 requests cancelled; 1 of the users keep their access."),
            "{text}"
        );
        assert!(text.contains("Finished before"), "{text}");
    }
}
