//! The pages of operations: all of them, one, and the one that is to begin.

use axum::extract::State;
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::{Extension, Json};
use maud::{Markup, html};
use serde_json::json;

use super::act::{Act, link};
use super::asked::Asked;
use super::given::Given;
use super::page::{Menu, Page};
use super::{list, parts};
use crate::admin::api::{Api, operations};
use crate::admin::caller::Caller;
use crate::admin::problem::Problem;
use crate::admin::read::{At, Body, Query};
use crate::operations::operation::{OperationView, ShownOperation};
use crate::people::Permission;
use crate::ports::operations::{Became, OperationId, OperationKind, OperationState};

const fn kind(kind: OperationKind) -> &'static str {
    match kind {
        OperationKind::Replay => "Replay",
        OperationKind::Discard => "Discard",
        OperationKind::Verify => "Check of evidence",
    }
}

const fn state(state: OperationState) -> &'static str {
    match state {
        OperationState::Frozen => "Waits for a worker",
        OperationState::Running => "Running",
        OperationState::Stopped => "Stopped",
        OperationState::Done => "Done",
        OperationState::Failed => "Ended by a fault",
    }
}

/// What became of items, in words.
fn became(word: &str) -> &str {
    let known = Became::ALL.into_iter().find(|known| known.as_str() == word);
    match known {
        Some(Became::Moved) => "sent again",
        Some(Became::Cleared) => "taken off the queue, since an earlier replay had sent them",
        Some(Became::Skipped) => "left in the queue",
        Some(Became::Discarded) => "discarded, with a copy stored",
        Some(Became::Gone) => "not in the queue any more",
        Some(Became::Sound) => "without a finding",
        Some(Became::Unsound) => "with a finding",
        None => word,
    }
}

pub(super) async fn list(State(api): State<Api>, asked: Asked) -> Result<Page, Problem> {
    let Json(found) = operations::list(State(api), Query(asked.read(&[])?)).await?;
    let body = html! {
        h1 { "Operations" }
        p { "Replays and discards of dead letters, and checks of evidence. A worker does them, and another one continues if that one dies." }
        @if found.operations.is_empty() { (list::none(&asked, false, "None.")) } @else { (table(&found.operations)) }
        (list::next(&asked, found.next_cursor.as_deref()))
    };
    Ok(Page::new("Operations", Menu::Operations, body).live())
}

pub(super) fn table(operations: &[OperationView]) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label="Operations" {
            table {
                caption { "Newest first" }
                thead { tr { th scope="col" { "Begun" } th scope="col" { "What" } th scope="col" { "State" } th.number scope="col" { "Done" } th scope="col" { "By" } th scope="col" { "Why" } } }
                tbody {
                    @for one in operations {
                        tr {
                            th scope="row" { a href={ "/operations/" (one.id) } { (parts::time(one.at)) } }
                            td { (kind(one.kind)) }
                            td { (state(one.state)) @if one.trouble.is_some() { ", " span.fault { "does not get on" } } }
                            td.number { (parts::number(one.done)) " of " (parts::number(one.items)) }
                            td { bdi { (one.who) } }
                            td { @if let Some(why) = &one.why { bdi { (why) } } }
                        }
                    }
                }
            }
        }
    }
}

pub(super) async fn show(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    At(id): At<OperationId>,
    asked: Asked,
) -> Result<Page, Problem> {
    let Json(shown) = operations::show(State(api), At(id), Query(asked.read(&[])?)).await?;
    let one = &shown.operation;
    let title = format!("{} – {} of {}", kind(one.kind), one.done, one.items);
    let page = Page::new(title, Menu::Operations, body(&caller, &shown, &asked)).live();
    Ok(Page {
        is_fast: one.ended_at.is_none(),
        ..page
    })
}

fn body(caller: &Caller, shown: &ShownOperation, asked: &Asked) -> Markup {
    let one = &shown.operation;
    html! {
        h1 { (kind(one.kind)) " of " (parts::time(one.at)) }
        p.answer data-say {
            (state(one.state)) ": " (parts::number(one.done)) " of " (parts::number(one.items))
            @if let Some(ended) = one.ended_at { ", ended " (parts::time(ended)) }
            "."
        }
        progress max=(one.items.max(1)) value=(one.done) aria-label="Done" { (one.done) }
        @if let Some(trouble) = &one.trouble { p.fault { "It does not get on: " (trouble) } }
        @if let Some(error) = &one.error { p.fault { "It ended by a fault: " (error) } }
        @if let Some(stop) = &one.stop {
            p { "Stopped by " bdi { (stop.who) } " at " (parts::time(stop.at)) @if let Some(why) = &stop.why { ": " bdi { (why) } } }
        }
        ul { @for (word, count) in &one.counts { li { (parts::number(*count)) " " (became(word)) } } }
        dl {
            dt { "By" } dd { bdi { (one.who) } }
            dt { "Why" } dd { @match &one.why { Some(why) => bdi { (why) }, None => span.soft { "Not given" } } }
            dt { "Left out at the start" } dd { (parts::number(one.left_out)) " that were not safe" }
            dt { "At most" } dd { @match &one.rate { Some(rate) => (rate), None => "no limit" } }
            dt { "One of each fault first" } dd { @if one.canary { "Yes" } @else { "No" } }
            dt { "Worker" } dd {
                @match &one.by { Some(by) => bdi { (by) }, None => span.soft { "None yet" } }
                @if one.taken_up > 1 { ", taken up " (one.taken_up) " times: a worker ended or died, and another one continued" }
            }
        }
        @if one.ended_at.is_none() { p { (link(caller, Permission::Replay, &format!("/operations/{}/stop", one.id), "Stop or change the rate")) } }
        (groups(shown))
        h2 { "Results" }
        @if shown.results.is_empty() { p { "None yet." } } @else { (results(shown)) }
        (list::next(asked, shown.next_cursor.as_deref()))
    }
}

fn groups(shown: &ShownOperation) -> Markup {
    html! {
        @if !shown.groups.is_empty() {
            h2 { "By fault" }
            ul {
                @for group in &shown.groups {
                    li {
                        a href={ "/dead-letters/groups/" (group.group) } { (group.code) } ": " (group.moved) " sent again, " (group.got_past) " got past the fault, " (group.skipped) " left in the queue"
                        @if let Some(stopped) = &group.stopped { ". " span.fault { (stopped) } }
                    }
                }
            }
        }
    }
}

fn results(shown: &ShownOperation) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label="Results" {
            table {
                thead { tr { th.number scope="col" { "Number" } th scope="col" { "User" } th scope="col" { "Dead letter" } th scope="col" { "Became" } th scope="col" { "When" } } }
                tbody {
                    @for one in &shown.results {
                        tr {
                            td.number { (one.number + 1) }
                            td { @if let Some(user) = one.user_id { (list::user(user)) } }
                            td { @if let Some(id) = &one.dead_letter { code { (id) } } }
                            td { (became(one.became.as_str())) @if let Some(why) = &one.why { ": " (why) } }
                            td { (parts::time(one.at)) }
                        }
                    }
                }
            }
        }
    }
}

fn stop_act(id: OperationId, given: &Given) -> Act {
    Act {
        title: "Stop an operation, or change its rate".to_owned(),
        menu: Menu::Operations,
        path: format!("/operations/{id}/stop"),
        permission: Permission::Replay,
        button: "Do it",
        explanation: html! { p { "Stopping is safe: what is in progress is done to its end, and the rest is unchanged." } },
        fields: html! {
            div {
                label for="rate" { "At most, e.g. 2/s or 30/m. Empty: stop it" }
                input #rate name="rate" value=(given.get("rate")) maxlength="6";
            }
        },
        confirm: None,
    }
}

pub(super) async fn stop_form(
    Extension(caller): Extension<Caller>,
    At(id): At<OperationId>,
) -> Page {
    stop_act(id, &Given::default()).page(&caller, &Given::default(), None)
}

pub(super) async fn stop(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    At(id): At<OperationId>,
    given: Given,
) -> Response {
    let change = async {
        let state = State(api);
        let extension = Extension(caller.clone());
        match given.get("rate") {
            "" => {
                let order = given.order(&caller, json!({}))?;
                operations::stop(state, extension, At(id), Body(order)).await
            }
            rate => {
                let order = given.order(&caller, json!({ "rate": rate }))?;
                operations::rate(state, extension, At(id), Body(order)).await
            }
        }
    };
    match change.await {
        Ok(_accepted) => Redirect::to(&format!("/operations/{id}")).into_response(),
        Err(problem) => stop_act(id, &given)
            .page(&caller, &given, Some(&problem))
            .into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_became_of_an_item_has_words() {
        for known in Became::ALL {
            assert_ne!(became(known.as_str()), known.as_str());
        }
        assert_eq!(became("new word"), "new word");
    }
}
