//! The pages of one batch.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::Response;
use axum::{Extension, Json};
use maud::{Markup, html};

use super::act::link;
use super::asked::Asked;
use super::page::{Menu, Page};
use super::{all_matching, chart, histogram, list, now, over_time, parts, state_bar, words};
use crate::admin::api::{Api, batch_history, batch_report, batch_users, batches};
use crate::admin::caller::Caller;
use crate::admin::problem::Problem;
use crate::admin::read::{At, Query};
use crate::job::BatchId;
use crate::operations::batches::{BatchHistory, BatchProgress, Overview, Waiting};
use crate::operations::shared_answers::PATIENCE;
use crate::people::Permission;

/// A little longer than [`PATIENCE`], after which there is a last answer.
const READ_WITHIN: Duration = PATIENCE.saturating_add(Duration::from_millis(50));

pub(super) async fn show(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    At(batch): At<BatchId>,
) -> Result<Page, Problem> {
    let history = batch_history::show(State(api.clone()), At(batch.clone()));
    let showing = batches::show(State(api), At(batch.clone()));
    let (read, history) = tokio::join!(
        tokio::time::timeout(READ_WITHIN, Box::pin(showing)),
        tokio::time::timeout(READ_WITHIN, Box::pin(history)),
    );
    let Ok(read) = read else {
        return Ok(being_read(&batch));
    };
    let Json(read) = read?;
    let title = match &read.overview.still_have_access {
        Some(access) => format!(
            "{} with access – {}",
            parts::number(access.users),
            read.overview.batch_id
        ),
        None => read.overview.batch_id.to_string(),
    };
    let history = history.ok().map(|read| read.map(|Json(history)| history));
    let page = Page::new(title, Menu::Batches, body(&caller, &read, history.as_ref()));
    Ok(page.live().read_at(read.overview.as_of))
}

/// All its users are read for the first time, which takes longer than anybody waits for a page.
fn being_read(batch: &BatchId) -> Page {
    let body = html! {
        h1 { "Batch " (batch) }
        (tabs(batch, "overview"))
        p.answer { "Not known yet: this worker is reading all users of the batch. The page loads again by itself." }
    };
    let page = Page::new(batch.to_string(), Menu::Batches, body);
    Page {
        is_unfinished: true,
        ..page.live()
    }
}

fn body(
    caller: &Caller,
    progress: &BatchProgress,
    history: Option<&Result<Arc<BatchHistory>, Problem>>,
) -> Markup {
    let overview = &progress.overview;
    let batch = &overview.batch_id;
    html! {
        h1 { "Batch " (batch) }
        (tabs(batch, "overview"))
        @if let Some(pause) = &progress.pause {
            p.bar {
                "This batch is paused by " bdi { (pause.who) } " since " (parts::time(pause.at))
                @if let Some(until) = pause.until { ", until " (parts::time(until)) }
                @if let Some(why) = &pause.why { ": " bdi { (why) } }
                "."
            }
        }
        (answer(progress))
        (changes(caller, progress))
        h2 { "Users by last step" }
        (states(overview))
        h2 { "Removal of access" }
        (access(overview))
        h2 { "Waits" }
        (waits(batch, &overview.waiting))
        h2 { "Dead letters" }
        (dead_letters(overview))
        h2 { "Evidence" }
        (evidence(overview))
        h2 { "Over time" }
        @match history {
            Some(Ok(history)) => (over_time::show(history)),
            Some(Err(problem)) => (parts::unknown(problem.detail(), problem.code())),
            None => p { "Not known yet: it is being read." }
        }
    }
}

fn tabs(batch: &BatchId, here: &str) -> Markup {
    let current = |tab: &str| (tab == here).then_some("page");
    html! {
        nav aria-label="Views of the batch" {
            a href={ "/batches/" (batch) } aria-current=[current("overview")] { "Overview" } " · "
            a href={ "/batches/" (batch) "/users" } aria-current=[current("users")] { "Users" } " · "
            a href={ "/dead-letters?batch=" (batch) } { "Dead letters" } " · "
            a href={ "/batches/" (batch) "/report.csv" } { "Download CSV" }
        }
    }
}

fn changes(caller: &Caller, progress: &BatchProgress) -> Markup {
    let batch = &progress.overview.batch_id;
    html! {
        p {
            @if progress.pause.is_some() { (link(caller, Permission::Pause, &format!("/batches/{batch}/resume"), "Resume this batch")) }
            @else { (link(caller, Permission::Pause, &format!("/batches/{batch}/pause"), "Pause this batch")) }
            " · " (link(caller, Permission::Submit, &format!("/batches/{batch}/cancel"), "Cancel this batch"))
            @if !progress.overview.dead_letters.is_empty() {
                " · " (link(caller, Permission::Replay, &format!("/operations/new?batch={batch}"), "Replay what is safe"))
            }
        }
    }
}

/// Who still has access, and when all is done.
fn answer(progress: &BatchProgress) -> Markup {
    let overview = &progress.overview;
    let given_up = overview.dead_letters.iter().map(|given| given.users).sum();
    html! {
        p.answer data-say {
            @match &overview.still_have_access {
                Some(access) => {
                    a.fault href={ "/batches/" (overview.batch_id) "/users?access=true" } { (parts::count(access.users, "user")) " with access" }
                    ", the oldest for " (parts::age(access.since, overview.as_of)) ". "
                }
                None if overview.unreadable == 0 => span.good { "Nobody of this batch still has access. " },
                None => span.fault { "Nobody of those whose record can be read still has access. " },
            }
            @if overview.left() == 0 && given_up == 0 { "All " (parts::number(overview.users)) " users are done." }
            @else if overview.left() == 0 { "Nobody is in progress; " (parts::count(given_up, "user")) " given up." }
            @else {
                (parts::number(overview.left())) " of " (parts::number(overview.users)) " left, done about: "
                (now::done_about(overview.time_left_seconds, Some(overview.as_of))) "."
            }
        }
        @if overview.unreadable > 0 {
            p.fault { "Not known: how far " (parts::count(overview.unreadable, "user")) " are, since a later release wrote their records." }
        }
    }
}

fn states(overview: &Overview) -> Markup {
    let slices = state_bar::slices(overview.not_begun, &overview.states);
    html! {
        (chart::stacked("Users of the batch by last step; the table has the numbers", &slices))
        div.scroll tabindex="0" role="region" aria-label="Users by last step" {
            table {
                thead { tr { th scope="col" { "Last step" } th.number scope="col" { "Users" } } }
                tbody {
                    @for slice in &slices { tr { th scope="row" { (slice.words) } td.number { (parts::number(slice.count)) } } }
                    tr { th scope="row" { "Finished, with a manifest" } td.number { (parts::number(overview.finished)) } }
                    tr { th scope="row" { "Cancelled" } td.number { (parts::number(overview.cancelled)) } }
                }
            }
        }
    }
}

fn access(overview: &Overview) -> Markup {
    html! {
        @match &overview.access_removed {
            None => p { "Nobody's access is removed yet." },
            Some(access) => (histogram::show(&overview.batch_id, access)),
        }
    }
}

fn waits(batch: &BatchId, waiting: &[Waiting]) -> Markup {
    html! {
        @if waiting.is_empty() { p { "Nobody waits." } }
        @else {
            ul {
                @for wait in waiting {
                    li {
                        a href={ "/batches/" (batch) "/users?why=" (wait.why) } { (parts::count(wait.users, "user")) }
                        " " (words::wait(&wait.why)) ": the first until " (parts::time(wait.first_until)) ", the last until " (parts::time(wait.last_until))
                    }
                }
            }
        }
    }
}

fn dead_letters(overview: &Overview) -> Markup {
    html! {
        @if overview.dead_letters.is_empty() { p { "Nobody is given up." } }
        @else {
            ul {
                @for group in &overview.dead_letters {
                    li {
                        a href={ "/dead-letters?batch=" (overview.batch_id) "&reason=" (group.reason) } { (parts::count(group.users, "user")) }
                        ": " (parts::code(group.reason.as_str()))
                    }
                }
            }
        }
    }
}

/// How many are off-boarded with a manifest, and who is not.
fn evidence(overview: &Overview) -> Markup {
    let given_up = overview.dead_letters.iter().map(|group| group.users).sum();
    let others = [
        (overview.left(), "not finished"),
        (
            given_up,
            "given up, so that there is no manifest of this request",
        ),
        (overview.cancelled, "cancelled"),
        (overview.unreadable, "not known"),
    ];
    html! {
        p { "Off-boarded with evidence: " (parts::number(overview.finished)) " of " (parts::number(overview.users)) "." }
        @if others.iter().any(|(count, _)| *count > 0) {
            ul { @for (count, words) in others { @if count > 0 { li { (parts::count(count, "user")) " " (words) } } } }
        }
        p { a href={ "/batches/" (overview.batch_id) "/report.csv" } { "Each user by name, as CSV" } " · " a href="/evidence" { "The evidence log, and checks of what is stored" } }
    }
}

pub(super) async fn users(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    At(batch): At<BatchId>,
    asked: Asked,
) -> Result<Page, Problem> {
    let now = api.now();
    let wanted = asked.read(&[])?;
    let Json(found) = batch_users::list(State(api), At(batch.clone()), Query(wanted)).await?;
    let body = html! {
        h1 { "Batch " (batch) }
        (tabs(&batch, "users"))
        (list::filters(&html! {
            (list::states(&asked))
            (list::text(&asked, "why", "Waits for, or reason"))
            (list::text(&asked, "q", "ID begins with"))
            (list::choice(&asked, "access", "Access", &[["true", "Still has access"]]))
            (list::text(&asked, histogram::AFTER, "Removed after more than (seconds)"))
            (list::text(&asked, histogram::WITHIN, "Removed within (seconds)"))
        }))
        @if asked.is_filtered() { p { a href=(asked.at(&format!("/batches/{batch}/report.csv"))) { "Download those that match as CSV" } } }
        @if found.users.is_empty() { (list::none(&asked, found.next_cursor.is_some(), "Nobody.")) }
        @else {
            (list::users(&caller, "Users of the batch", &found.users, now))
            @let all = (found.next_cursor.is_none() && asked.get("cursor").is_empty()).then_some(found.users.len());
            (all_matching::ways(&caller, &batch, &asked, all))
        }
        (list::next(&asked, found.next_cursor.as_deref()))
    };
    let page = Page::new(format!("Users – {batch}"), Menu::Batches, body);
    Ok(page.live().read_at(found.as_of))
}

/// The users of the batch whom the filters of the address mean, as the API sends them.
pub(super) async fn report(
    state: State<Api>,
    batch: At<BatchId>,
    asked: Asked,
) -> Result<Response, Problem> {
    batch_report::report(state, batch, Query(asked.read(&[])?)).await
}

#[cfg(test)]
#[path = "batch_tests.rs"]
mod tests;
