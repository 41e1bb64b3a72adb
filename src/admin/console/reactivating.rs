//! Giving a user back what the off-boarding took.

use axum::Extension;
use axum::extract::State;
use maud::{Markup, html};
use serde_json::json;

use super::act::{Act, Confirm, done};
use super::given::Given;
use super::page::{Menu, Page};
use crate::admin::api::{Api, reactivate};
use crate::admin::caller::Caller;
use crate::admin::read::{At, Body};
use crate::job::UserId;
use crate::manifest::{NotGivenBack, Possession};
use crate::operations::reactivate::{Outcome, UserReactivated};
use crate::people::Permission;

/// The first digits of the ID, which a person types.
fn typed(user: UserId) -> String {
    user.to_string().chars().take(8).collect()
}

fn act(user: UserId) -> Act {
    Act {
        title: format!("Reactivate user {user}"),
        menu: Menu::Access,
        path: format!("/users/{user}/reactivate"),
        permission: Permission::Submit,
        button: "Reactivate",
        explanation: html! {
            p { "The off-boarding is cancelled, the user is not deleted, and gets back what was stored before the first step: account, queues, skills and groups. What cannot be given back is listed." }
            p { "It is refused once a worker decided for the deletion, and if nothing is stored of what the user had." }
        },
        fields: html! {},
        confirm: Some(Confirm {
            label: format!("Type the first 8 digits of the user ID, {}", typed(user)),
        }),
    }
}

pub(super) async fn form(Extension(caller): Extension<Caller>, At(user): At<UserId>) -> Page {
    act(user).page(&caller, &Given::default(), None)
}

pub(super) async fn reactivate(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    At(user): At<UserId>,
    given: Given,
) -> Page {
    let change = async {
        caller.demand(Permission::Submit)?;
        given.confirm(&typed(user), "The beginning of the ID")?;
        let order = given.order(&caller, json!({}))?;
        reactivate::user(State(api), Extension(caller.clone()), At(user), Body(order)).await
    };
    match change.await {
        Ok(reactivated) => {
            let back = format!("/users/{user}");
            let act = act(user);
            done(
                &act.title,
                act.menu,
                &became(&reactivated.0),
                [&back, "The user"],
            )
        }
        Err(problem) => act(user).page(&caller, &given, Some(&problem)),
    }
}

fn became(user: &UserReactivated) -> Markup {
    let words = match user.outcome {
        Outcome::Reactivated => "The user has everything back, and is not deleted.",
        Outcome::Incomplete => "The user is not deleted, and something could not be given back.",
        Outcome::AlreadyReactivated => "This was done before.",
        Outcome::Refused => "Refused: nothing was given back.",
    };
    html! {
        p.answer { (words) }
        @if let Some(text) = &user.text { p { bdi { (text) } } }
        (listed("Given back:", &user.given_back))
        (listed("The user had these already:", &user.there_already))
        (missing("Not given back; once the reason is gone, do it again:", &user.not_given_back))
        (missing("Lost; nothing gives these back:", &user.lost))
    }
}

fn listed(words: &str, possessions: &[Possession]) -> Markup {
    html! {
        @if !possessions.is_empty() {
            p { (words) }
            ul { @for one in possessions { li { (one.kind) " " code { (one.reference) } } } }
        }
    }
}

fn missing(words: &str, possessions: &[NotGivenBack]) -> Markup {
    html! {
        @if !possessions.is_empty() {
            p.fault { (words) }
            ul { @for one in possessions { li { (one.possession.kind) " " code { (one.possession.reference) } ": " bdi { (one.why) } } } }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_not_be_given_back_is_named_and_its_text_is_only_text() {
        let user = UserReactivated {
            user_id: "3f1f0d4e-9a51-4b4b-8f6c-1f9a4f9b7c11".parse().unwrap(),
            outcome: Outcome::Incomplete,
            refusal: None,
            text: None,
            given_back: vec![Possession::new(Possession::ACCOUNT, "a")],
            there_already: Vec::new(),
            not_given_back: vec![NotGivenBack {
                possession: Possession::new("queue_member", "q-1"),
                why: "<b>403</b>".to_owned(),
            }],
            lost: Vec::new(),
            record: None,
        };
        let text = became(&user).into_string();
        for expected in [
            "something could not be given back",
            "queue_member",
            "&lt;b&gt;403",
        ] {
            assert!(text.contains(expected), "{expected}: {text}");
        }
        assert_eq!(typed(user.user_id), "3f1f0d4e");
    }
}
