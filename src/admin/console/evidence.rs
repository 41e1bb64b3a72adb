//! The pages of the evidence: the log, the checks of it, and what proves how one user ended.

use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::{Extension, Json};
use maud::{Markup, html};
use serde_json::json;

use super::act::{Act, link};
use super::asked::Asked;
use super::given::Given;
use super::page::{Menu, Page};
use super::{list, operations as pages, parts};
use crate::admin::api::begun::Begun;
use crate::admin::api::evidence_log::EvidenceLog;
use crate::admin::api::{Api, evidence, evidence_log, operations};
use crate::admin::caller::Caller;
use crate::admin::picked::Picked;
use crate::admin::problem::Problem;
use crate::admin::read::{At, Query};
use crate::job::UserId;
use crate::operations::dead_letters::DeadLetterFilter;
use crate::operations::operation::OperationView;
use crate::operations::verify::Verdict;
use crate::people::Permission;
use crate::ports::operations::OperationKind;

pub(super) const VERIFY: &str = "/evidence/verify";

pub(super) async fn show(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
) -> Result<Page, Problem> {
    let newest = Asked::of("", "limit=100").read(&[])?;
    let log = evidence_log::show(State(api.clone()))
        .await
        .map(|log| log.0);
    let checks = operations::list(State(api), Query(newest)).await;
    let checks = checks.map(|Json(found)| {
        let mut checks = found.operations;
        checks.retain(|one| one.kind == OperationKind::Verify);
        checks
    });
    Ok(Page::new(
        "Evidence",
        Menu::Evidence,
        body(&caller, &log, &checks),
    ))
}

fn body(
    caller: &Caller,
    log: &Result<EvidenceLog, Problem>,
    checks: &Result<Vec<OperationView>, Problem>,
) -> Markup {
    html! {
        h1 { "Evidence" }
        @match log {
            Ok(log) => (state(log)),
            Err(problem) => (parts::unknown(problem.detail(), problem.code())),
        }
        h2 { "Checks of what is stored" }
        p { (link(caller, Permission::Look, VERIFY, "Check the evidence")) }
        @match checks {
            Ok(checks) if checks.is_empty() => p { "None among the newest 100 operations." },
            Ok(checks) => (pages::table(checks)),
            Err(problem) => (parts::unknown(problem.detail(), problem.code())),
        }
        h2 { "Check it without us" }
        ul {
            li { "The page of a user has the manifests, and the proof that they are in the log as a file. " code { "offboarder evidence verify FILE --policy POLICY" } " checks that file without network and settings." }
            li { "An archive has the SHA-256 that the manifest says: " code { "sha256sum ARCHIVE" } "." }
            li { "The log is a Merkle log (RFC 6962) with signed checkpoints (c2sp.org/tlog-checkpoint), and a proof is one of c2sp.org/tlog-proof, so that tools of others read them." }
        }
    }
}

fn state(log: &EvidenceLog) -> Markup {
    let Some(origin) = &log.origin else {
        return html! {
            p.answer { "The evidence log is off." }
            p { "Manifests and archives can be checked against each other, and a change of all of them at once is not noticed. " code { "OFFBOARDER_EVIDENCE_ORIGIN" } " switches the log on: docs/audit.md." }
        };
    };
    html! {
        @match (&log.verifier_key, &log.last) {
            (None, _) => {
                p.answer { "The evidence log is on." }
                p { "This worker does not write it and has no key of it, so it cannot say how far it is. A worker with " code { "OFFBOARDER_EVIDENCE_KEY_FILE" } " can." }
            }
            (Some(_), None) => p.answer { "The evidence log is on, and has no step yet." },
            (Some(_), Some(last)) if !last.signed => {
                p.answer.fault { "Step " (parts::number(last.step.into())) " of the evidence log is not one that the key signed." }
                p { "Somebody changed the log, or wrote with another key. " code { "offboarder verify --all --evidence-key KEY" } " says more." }
            }
            (Some(_), Some(last)) => {
                p.answer {
                    "The evidence log has " (parts::number(last.leaves.unwrap_or(0))) " leaves" ", the last step was made "
                    (parts::time_or(last.at, "at a time that is not known")) "."
                }
            }
        }
        dl {
            dt { "Name of the log" } dd { bdi { (origin) } }
            @if let Some(key) = &log.verifier_key { dt { "Verifier key, which is public" } dd { code { (key) } } }
            @if let Some(last) = &log.last {
                dt { "Last step" } dd { (parts::number(last.step.into())) }
                @if let Some(root) = &last.root { dt { "Root of the tree" } dd { code { (root) } } }
            }
        }
    }
}

fn verify_act(given: &Given) -> Act {
    Act {
        title: "Check the evidence".to_owned(),
        menu: Menu::Evidence,
        path: VERIFY.to_owned(),
        permission: Permission::Look,
        button: "Check",
        explanation: html! { p { "A worker reads everything that is stored of the users, also the archives, and changes nothing: manifests, seals, archives, and the checkpoint have to agree." } },
        fields: html! {
            div {
                label for="users" { "User IDs, one a line; empty: all of whom something is stored" }
                textarea #users name="users" rows="4" { (given.get("users")) }
            }
            div { label for="rate" { "At most, e.g. 5/s or 30/m" } input #rate name="rate" value=(given.or("rate", "5/s")) maxlength="6" required; }
        },
        confirm: None,
    }
}

pub(super) async fn verify_form(Extension(caller): Extension<Caller>) -> Page {
    verify_act(&Given::default()).page(&caller, &Given::default(), None)
}

pub(super) async fn verify(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    given: Given,
) -> Response {
    let begun = async {
        let users: Result<_, _> = given.words("users").into_iter().map(str::parse).collect();
        let user: std::collections::HashSet<UserId> = users
            .map_err(|why| Problem::bad_request(format!("The users: {why}; nothing was begun.")))?;
        let filter = DeadLetterFilter {
            all: user.is_empty(),
            user,
            ..DeadLetterFilter::default()
        };
        let members = json!({ "kind": "verify", "rate": given.get("rate") });
        let rest = given.order(&caller, members)?;
        operations::frozen(api, caller.clone(), Picked { filter, rest }).await
    };
    match begun.await {
        Ok(Begun::Operation(begun)) => {
            Redirect::to(&format!("/operations/{}", begun.id)).into_response()
        }
        Ok(Begun::Preview(_)) => Problem::panicked().into_response(),
        Err(problem) => verify_act(&given)
            .page(&caller, &given, Some(&problem))
            .into_response(),
    }
}

/// The evidence of one user, checked now.
pub(super) async fn check(State(api): State<Api>, At(user): At<UserId>) -> Result<Page, Problem> {
    let Json(verdict) = evidence::verify(State(api), At(user)).await?;
    let title = format!("Check – {user}");
    Ok(Page::new(title, Menu::Evidence, verdict_body(&verdict)))
}

fn verdict_body(verdict: &Verdict) -> Markup {
    html! {
        h1 { "Evidence of " span.id { (verdict.user_id) } }
        p.answer {
            @if !verdict.ok { span.fault { (parts::count(verdict.findings.len() as u64, "finding")) "." } }
            @else if verdict.under_way { "Nothing contradicts itself. The off-boarding is in progress, so its manifest is not stored yet." }
            @else { span.good { "Nothing contradicts itself." } }
        }
        p {
            "Read: " (parts::count(verdict.manifests as u64, "manifest")) ", " (parts::count(verdict.archives as u64, "archive"))
            " of " (parts::count(verdict.bytes, "byte")) "."
            @if verdict.compared == Some(false) { " The last manifest could not be compared with the checkpoint: there is none, or it has no digest." }
            @if verdict.older_versions == Some(false) { " The store does not show older versions, so an object that was written twice is not noticed." }
        }
        @if !verdict.findings.is_empty() {
            ul { @for finding in &verdict.findings { li { code { (finding.object) } ": " bdi { (finding.text) } } } }
        }
        p { "The user: " (list::user(verdict.user_id)) }
    }
}

/// The proof of a user, as a file.
pub(super) async fn proof(
    State(api): State<Api>,
    At(user): At<UserId>,
) -> Result<Response, Problem> {
    let mut response = evidence_log::proof(State(api), At(user))
        .await?
        .into_response();
    let name = HeaderValue::from_str(&format!("attachment; filename=\"{user}.proof.json\""));
    if let Ok(name) = name {
        response
            .headers_mut()
            .insert(header::CONTENT_DISPOSITION, name);
    }
    Ok(response)
}

#[cfg(test)]
#[path = "evidence_tests.rs"]
mod tests;
