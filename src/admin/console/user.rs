//! The page of one user: where it is, and what happens next.

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use jiff::Timestamp;
use maud::{Markup, html};

use super::act::{URGENT, URGENT_LANE, link};
use super::page::{Menu, Page};
use super::{parts, words};
use crate::admin::api::{Api, evidence, users};
use crate::admin::caller::Caller;
use crate::admin::problem::Problem;
use crate::admin::read::At;
use crate::job::UserId;
use crate::machine::{Deletion, DeletionOutcome, StateName};
use crate::operations::evidence::Evidence;
use crate::operations::status::{Progress, UserStatus};
use crate::operations::times;
use crate::people::Permission;

pub(super) async fn show(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    At(id): At<UserId>,
) -> Result<Page, Problem> {
    let now = api.now();
    let (status, evidence) = tokio::join!(
        users::show(State(api.clone()), At(id)),
        evidence::show(State(api), At(id)),
    );
    let title = id.to_string();
    let status = match status {
        Ok(Json(status)) => status,
        Err(problem) if problem.status() == StatusCode::NOT_FOUND => return Ok(unknown(id)),
        Err(problem) => return Err(problem),
    };
    let evidence = match evidence {
        Ok(Json(evidence)) => Ok(Some(evidence)),
        Err(problem) if problem.status() == StatusCode::NOT_FOUND => Ok(None),
        Err(problem) => Err(problem),
    };
    Ok(Page::new(title, Menu::Access, body(&caller, &status, &evidence, now)).live())
}

fn unknown(id: UserId) -> Page {
    let start: String = id.to_string().chars().take(8).collect();
    let body = html! {
        h1 { "User " span.id { (id) } }
        p.answer { "Nobody of this ID was ever submitted here." }
        p { a href={ "/find?q=" (start) } { "IDs that begin with " (start) } }
    };
    Page {
        status: StatusCode::NOT_FOUND,
        ..Page::new(id.to_string(), Menu::Access, body)
    }
}

fn body(
    caller: &Caller,
    status: &UserStatus,
    evidence: &Result<Option<Evidence>, Problem>,
    now: Timestamp,
) -> Markup {
    let id = status.user_id;
    html! {
        h1 { "User " span.id { (id) } }
        p.answer data-say { (sentence(status, now)) }
        @if let Some(hold) = &status.hold {
            p.bar {
                "On hold by " bdi { (hold.who) } " since " (parts::time(hold.at))
                @if let Some(why) = &hold.why { ": " bdi { (why) } }
                ". The user is deactivated and archived, never deleted."
            }
        }
        p {
            @if status.hold.is_some() { (link(caller, Permission::LiftHold, &format!("/holds/lift?user={id}"), "Lift the hold")) }
            @else { (link(caller, Permission::Hold, &format!("/holds/add?user={id}"), "Put on hold")) }
            " · " (link(caller, Permission::Submit, &format!("/users/{id}/cancel"), "Cancel the request"))
            @if may_be_urgent(status) { " · " (link(caller, Permission::Submit, &format!("{URGENT}?user={id}"), URGENT_LANE)) }
            @if status.state != Some(StateName::Deleted) { " · " (link(caller, Permission::Submit, &format!("/users/{id}/reactivate"), "Reactivate")) }
            @if status.failed() { " · " (link(caller, Permission::Replay, &format!("/operations/new?user={id}"), "Replay")) }
        }
        @if let Some(progress) = &status.progress { (details(status, progress)) }
        h2 { "Evidence" }
        p { a href={ "/users/" (id) "/evidence" } { "Check again" } " · " a href={ "/users/" (id) "/proof" } { "Download the proof" } span.soft { " from the evidence log, if it is on" } }
        @match evidence {
            Ok(Some(evidence)) => (stored(evidence)),
            Ok(None) => p { "None: the archive store has no object of this user." },
            Err(problem) => (parts::unknown(problem.detail(), problem.code())),
        }
        h2 { "More" }
        ul {
            li { a href={ "/audit-log?user=" (id) } { "Changes by operators that name this user" } }
            li { a href={ "/dead-letters?user=" (id) } { "Dead letters of this user" } }
        }
    }
}

/// Whether the user still has access, and somebody has asked for the end of it.
fn may_be_urgent(status: &UserStatus) -> bool {
    match &status.progress {
        None => status.submitted.is_some(),
        Some(progress) => {
            let has_access = matches!(
                status.state,
                Some(StateName::Received | StateName::QueuesCleared)
            );
            has_access && progress.cancelled.is_none() && progress.dead_letter.is_none()
        }
    }
}

/// Where the user is, and what comes next.
fn sentence(status: &UserStatus, now: Timestamp) -> Markup {
    let Some(progress) = &status.progress else {
        return html! {
            @match &status.submitted {
                Some(submitted) => span.fault { "Submitted at " (parts::time(submitted.at)) ", and no worker has taken the user. The user still has access." },
                None => span.fault { "Not known." },
            }
        };
    };
    html! {
        @match (progress.access_removed_at, status.state) {
            (Some(at), _) => {
                "Access removed " (parts::time(at))
                @if let Some(asked) = asked_at(progress) { ", " (times::span(at.duration_since(asked))) " after it was asked for" }
                ". "
            }
            (None, Some(StateName::Received | StateName::QueuesCleared) | None) => span.fault { "The user still has access. " },
            (None, Some(_)) => "Access is removed; when is not recorded. ",
        }
        @if let Some(cancelled) = &progress.cancelled {
            "Cancelled by " bdi { (cancelled.who) } " at " (parts::time(cancelled.at)) "; nothing more is done."
        } @else if let Some(dead_letter) = &progress.dead_letter {
            span.fault { "Given up at " (parts::time(dead_letter.at)) ": " (parts::code(dead_letter.reason.as_str())) ". A person has to decide." }
        } @else if progress.finished { "Finished." }
        @else { (what_comes(progress, now)) }
    }
}

fn what_comes(progress: &Progress, now: Timestamp) -> Markup {
    html! {
        @match (progress.waits_for, progress.next_attempt) {
            (Some(pause), Some(until)) => { "Waits " (words::wait(pause.as_str())) ", " (times::due(until, now)) "; nothing is wrong." }
            (None, Some(until)) => { "The next attempt is " (times::due(until, now)) "." }
            (_, None) => "A worker has the user, or the message is queued.",
        }
        @if let Some(error) = &progress.last_error { " The last failure: " (error.text) " [" (parts::code(error.code.as_str())) "]" }
    }
}

fn asked_at(progress: &Progress) -> Option<Timestamp> {
    progress
        .request
        .requested_at
        .or(progress.request.received_at)
}

fn details(status: &UserStatus, progress: &Progress) -> Markup {
    let request = &progress.request;
    html! {
        h2 { "Steps" }
        ol {
            @for step in &progress.steps {
                li aria-current=[(Some(step.state) == status.state).then_some("step")] {
                    (words::state(step.state)) " at " (parts::time(step.completed_at))
                    span.soft { ", " (step.attempts) @if step.attempts == 1 { " attempt" } @else { " attempts" } ", " (step.calls.len()) @if step.calls.len() == 1 { " call" } @else { " calls" } }
                    @if Some(step.state) == status.state { strong { " – the user is here" } }
                }
            }
        }
        @if progress.steps.is_empty() { p { "None is completed." } }
        h2 { "Request" }
        dl {
            dt { "Asked for at" } dd { (parts::time_or(asked_at(progress), "Not recorded")) }
            dt { "By" } dd { @match &request.requested_by { Some(who) => bdi { (who) }, None => span.soft { "Not recorded" } } }
            dt { "Why" } dd { @match &request.reason { Some(why) => bdi { (why) }, None => span.soft { "Not recorded" } } }
            dt { "Batch" } dd { @match &request.batch_id { Some(batch) => a href={ "/batches/" (batch) } { (batch) }, None => span.soft { "None" } } }
            dt { "How far" } dd { (request.action.as_str()) }
            @if let Some(after) = request.delete_after { dt { "Deleted not before" } dd { (parts::time(after)) } }
            dt { "Failed attempts" } dd { (progress.attempts) }
            @if let Some(deletion) = &progress.deletion { dt { "Deletion" } dd { (deletion_words(deletion)) } }
            dt { "Progress saved at" } dd { (parts::time(progress.updated_at)) }
        }
    }
}

fn deletion_words(deletion: &Deletion) -> Markup {
    let words = match deletion.outcome {
        DeletionOutcome::Deleted => "Deleted",
        DeletionOutcome::AlreadyGone => "Somebody else had deleted the user",
        DeletionOutcome::Refused => "CXone refused it",
        DeletionOutcome::Held => "A legal hold or a queue prevented it",
        DeletionOutcome::NotRequested => "Only the deactivation was asked for",
        DeletionOutcome::NotOffered => "The tenant offers no deletion, or a setting forbids it",
    };
    html! {
        (words)
        @if let Some(hold) = &deletion.hold { ": " bdi { (hold) } }
        @if let Some(status) = deletion.status { ", answer " (status) }
        @if let Some(code) = &deletion.code { " " code { (code) } }
        @if let Some(at) = deletion.confirmed_at { ", confirmed by a read at " (parts::time(at)) }
    }
}

fn stored(evidence: &Evidence) -> Markup {
    html! {
        p.soft { "In " code { (evidence.location) } }
        @if evidence.manifests.is_empty() { p { "No manifest yet." } }
        @for manifest in &evidence.manifests {
            h3 { "Manifest " (manifest.revision) }
            dl {
                dt { "Key" } dd { code { (manifest.key) } }
                dt { "SHA-256" } dd { code { (manifest.sha256) } }
                @match &manifest.says {
                    None => { dt { "Content" } dd.fault { "Not known: this release cannot read it" } }
                    Some(says) => {
                        dt { "Says" } dd { (words::state(says.state)) " at " (parts::time(says.at)) ", by " (says.worker) ", release " (says.release) }
                        dt { "Archive" } dd { code { (says.archive.key) } ", " (parts::number(says.archive.bytes)) " bytes, " (parts::count(says.archive.conversations, "conversation")) }
                        dt { "Its SHA-256" } dd { code { (says.archive.sha256) } }
                        dt { "Deletion" } dd { (deletion_words(&says.deletion)) }
                    }
                }
            }
        }
        @if !evidence.other_archives.is_empty() {
            p { "Archives that no manifest names:" }
            ul { @for key in &evidence.other_archives { li { code { (key) } } } }
        }
        @if evidence.not_read > 0 { p.fault { "Not known: what " (evidence.not_read) " older documents say; they were not read." } }
    }
}

#[cfg(test)]
#[path = "user_tests.rs"]
mod tests;
