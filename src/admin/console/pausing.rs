//! Pausing and resuming all workers, or one batch.

use axum::Extension;
use axum::extract::State;
use maud::html;
use serde_json::{Value, json};

use super::act::{Act, done};
use super::given::Given;
use super::page::{Menu, Page};
use crate::admin::api::{Api, batch_pause, pause};
use crate::admin::caller::Caller;
use crate::admin::problem::Problem;
use crate::admin::read::{At, Body};
use crate::job::BatchId;
use crate::people::Permission;

/// What is paused or resumed.
fn act(batch: Option<&BatchId>, resumes: bool, given: &Given) -> Act {
    let verb = if resumes { "Resume" } else { "Pause" };
    let word = if resumes { "resume" } else { "pause" };
    let [title, path] = match batch {
        Some(batch) => [
            format!("{verb} batch {batch}"),
            format!("/batches/{batch}/{word}"),
        ],
        None => [format!("{verb} all workers"), format!("/{word}")],
    };
    let explanation = match (batch, resumes) {
        (None, false) => {
            "No worker takes a user. Users in progress stop at their next checkpoint, also those who still have access. It survives restarts."
        }
        (None, true) => "Workers take users again within seconds.",
        (Some(_), false) => {
            "Users of the batch stop at their next checkpoint, also those who still have access, and are not deleted. Other batches continue."
        }
        (Some(_), true) => "Users of the batch continue within 5 minutes.",
    };
    Act {
        title,
        menu: if batch.is_some() {
            Menu::Batches
        } else {
            Menu::Workers
        },
        path,
        permission: Permission::Pause,
        button: verb,
        explanation: html! { p { (explanation) } },
        fields: html! {
            @if !resumes {
                div { label for="for" { "Ends by itself after (e.g. 2h; empty: never)" } input #for name="for" value=(given.get("for")) maxlength="8"; }
            }
        },
        confirm: None,
    }
}

fn lasts(given: &Given) -> Value {
    match given.get("for") {
        "" => json!({}),
        lasts => json!({ "for": lasts }),
    }
}

pub(super) async fn pause_form(Extension(caller): Extension<Caller>) -> Page {
    act(None, false, &Given::default()).page(&caller, &Given::default(), None)
}

pub(super) async fn resume_form(Extension(caller): Extension<Caller>) -> Page {
    act(None, true, &Given::default()).page(&caller, &Given::default(), None)
}

pub(super) async fn pause_all(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    given: Given,
) -> Page {
    let change = async {
        let order = given.order(&caller, lasts(&given))?;
        pause::pause(State(api), Extension(caller.clone()), Body(order)).await
    };
    let changed = change.await.map(|changed| changed.0.changed);
    answer(changed, None, false, &caller, &given)
}

pub(super) async fn resume_all(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    given: Given,
) -> Page {
    let change = async {
        let order = given.order(&caller, json!({}))?;
        pause::resume(State(api), Extension(caller.clone()), Body(order)).await
    };
    let changed = change.await.map(|changed| changed.0.changed);
    answer(changed, None, true, &caller, &given)
}

pub(super) async fn pause_batch_form(
    Extension(caller): Extension<Caller>,
    At(batch): At<BatchId>,
) -> Page {
    act(Some(&batch), false, &Given::default()).page(&caller, &Given::default(), None)
}

pub(super) async fn resume_batch_form(
    Extension(caller): Extension<Caller>,
    At(batch): At<BatchId>,
) -> Page {
    act(Some(&batch), true, &Given::default()).page(&caller, &Given::default(), None)
}

pub(super) async fn pause_batch(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    At(batch): At<BatchId>,
    given: Given,
) -> Page {
    let change = async {
        let order = given.order(&caller, lasts(&given))?;
        batch_pause::pause(
            State(api),
            Extension(caller.clone()),
            At(batch.clone()),
            Body(order),
        )
        .await
    };
    let changed = change.await.map(|changed| changed.0.changed);
    answer(changed, Some(&batch), false, &caller, &given)
}

pub(super) async fn resume_batch(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    At(batch): At<BatchId>,
    given: Given,
) -> Page {
    let change = async {
        let order = given.order(&caller, json!({}))?;
        batch_pause::resume(
            State(api),
            Extension(caller.clone()),
            At(batch.clone()),
            Body(order),
        )
        .await
    };
    let changed = change.await.map(|changed| changed.0.changed);
    answer(changed, Some(&batch), true, &caller, &given)
}

fn answer(
    changed: Result<bool, Problem>,
    batch: Option<&BatchId>,
    resumes: bool,
    caller: &Caller,
    given: &Given,
) -> Page {
    let act = act(batch, resumes, given);
    let changed = match changed {
        Ok(changed) => changed,
        Err(problem) => return act.page(caller, given, Some(&problem)),
    };
    let words = match (changed, resumes) {
        (true, false) => "Paused. Workers follow within seconds.",
        (false, false) => {
            "It was paused already: somebody else was first. That pause is kept, with its end."
        }
        (true, true) => "Resumed.",
        (false, true) => "It was not paused: somebody else was first.",
    };
    let batch_path = batch.map(|batch| format!("/batches/{batch}"));
    let back = batch_path
        .as_deref()
        .map_or(["/workers", "Workers"], |path| [path, "The batch"]);
    done(&act.title, act.menu, &html! { p.answer { (words) } }, back)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::caller::SignIn;

    #[test]
    fn the_second_of_two_operators_is_answered_that_it_was_done_before() {
        let local = Caller::token(SignIn::Loopback, false);
        let batch: BatchId = "b-1".parse().unwrap();
        let text = |changed, resumes| {
            let page = answer(
                Ok(changed),
                Some(&batch),
                resumes,
                &local,
                &Given::default(),
            );
            page.body.into_string()
        };
        assert!(text(true, false).contains("Paused."));
        assert!(text(false, false).contains("somebody else was first"));
        assert!(text(false, true).contains("It was not paused"));
        assert!(text(true, true).contains("href=\"/batches/b-1\""));
    }
}
