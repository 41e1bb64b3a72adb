//! The pages of plans: what waits for a second person, and what exactly would be approved.
//!
//! They do not keep themselves current: each plan is several objects, which one reader at a time should read.

use axum::extract::State;
use axum::{Extension, Json};
use maud::{Markup, html};

use super::act::link;
use super::asked::Asked;
use super::page::{Menu, Page};
use super::plan_change::PlanChange;
use super::{list, parts, words};
use crate::admin::api::Api;
use crate::admin::api::plans::{self, MovedUser};
use crate::admin::caller::Caller;
use crate::admin::problem::Problem;
use crate::admin::read::{At, Query};
use crate::guards::End;
use crate::guards::approval::PlannedUser;
use crate::job::PlanName;
use crate::operations::plans::{PlanState, Said, StoredPlan};
use crate::people::Role;
use crate::printable;

const STATIC: &str = "This page does not keep itself current; load it again.";
/// Users are read in pages of 1,000, and those of a page that are unusual are shown first.
const USERS_AT_ONCE: &str = "1000";

pub(super) async fn show(State(api): State<Api>, asked: Asked) -> Result<Page, Problem> {
    let Json(found) = plans::list(State(api), Query(asked.read(&[])?)).await?;
    let options = PlanState::ALL.map(|state| [state.as_str(), state.as_str()]);
    let body = html! {
        h1 { "Plans" }
        p { "Deletions that a second person approves. Access is removed without approval. " span.soft { (STATIC) } }
        (list::filters(&list::choice(&asked, "state", "State", &options)))
        @if found.plans.is_empty() {
            (list::none(&asked, false, "No plan is stored. `offboarder plan --save` makes one."))
        } @else { (table(&found.plans)) }
        @if found.more {
            p { "There are older ones: " a href=(asked.with("limit", "100")) { "the newest 100" } ", and " code { "offboarder plan list" } " has all." }
        }
    };
    Ok(Page::new("Plans", Menu::Plans, body))
}

fn table(plans: &[StoredPlan]) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label="Plans" {
            table {
                caption { "Newest first" }
                thead { tr {
                    th scope="col" { "Plan" } th scope="col" { "State" } th scope="col" { "What" } th scope="col" { "Made by" }
                    th scope="col" { "Batch" } th scope="col" { "Approvals until" } th.number scope="col" { "Users who changed" }
                } }
                tbody { @for plan in plans { (row(plan)) } }
            }
        }
    }
}

fn row(plan: &StoredPlan) -> Markup {
    let digest = plan.digest.to_string();
    let short: String = digest.chars().take(16).collect();
    html! {
        tr {
            th scope="row" { a.id href={ "/plans/" (digest) } { (in_fours(&short)) " …" } }
            td { (words::plan(plan.state)) }
            @match &plan.said {
                None => { td.fault colspan="4" { "Not known: it cannot be read" } }
                Some(said) => {
                    td { (sentence(said)) }
                    td { bdi { (said.by) } br; (parts::time(said.at)) }
                    td { @match &said.batch { Some(batch) => a href={ "/batches/" (batch) } { (batch) }, None => "–" } }
                    td { (parts::time(said.expires)) }
                }
            }
            td.number { (parts::number(plan.moved)) }
        }
    }
}

/// How many users would end how.
fn sentence(said: &Said) -> Markup {
    let totals = &said.totals;
    let others = [
        (totals.deactivate_only, "end deactivated"),
        (totals.held, "held"),
        (totals.protected, "protected"),
        (totals.done, "done already"),
        (totals.not_found, "not found"),
    ];
    html! {
        @match &said.rule {
            Some(rule) => { "A weaker rule of approvals: " code { (rule) } }
            None => {
                (parts::count(totals.users, "user")) ": " (parts::count(totals.delete, "deletion"))
                @for (count, word) in others { @if count > 0 { ", " (parts::number(count)) " " (word) } }
            }
        }
    }
}

/// A digest is compared by eye in groups.
fn in_fours(digest: &str) -> String {
    let mut text = String::with_capacity(digest.len() * 5 / 4);
    for (place, digit) in digest.chars().enumerate() {
        if place > 0 && place.is_multiple_of(4) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

pub(super) async fn one(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    At(name): At<PlanName>,
    asked: Asked,
) -> Result<Page, Problem> {
    let wanted = asked.read(&[("limit", USERS_AT_ONCE)])?;
    let Json(shown) = plans::show(State(api), At(name), Query(wanted)).await?;
    let title = format!("Plan {:.16}", shown.plan.digest.to_string());
    let last = shown
        .more
        .then(|| shown.users.last().map(|user| user.user_id.to_string()));
    let body = html! {
        (facts(&caller, &shown.plan))
        (moved(shown.plan.moved, &shown.moved_users))
        @if !shown.users.is_empty() { h2 { "Users" } (users(shown.users)) }
        @if let Some(last) = last.flatten() {
            p { "These are " (parts::number(1000)) " in the order of their IDs. " a rel="next" href=(asked.with("after", &last)) { "Next page" } }
        }
    };
    Ok(Page::new(title, Menu::Plans, body))
}

fn facts(caller: &Caller, plan: &StoredPlan) -> Markup {
    html! {
        h1 { "Plan" }
        @if let Some(said) = &plan.said { p.answer { (sentence(said)) "." } }
        p { strong { (words::plan(plan.state)) "." } @if let Some(why) = &plan.why_not { " " bdi { (why) } } }
        p.soft { "Access is removed without approval. " (STATIC) }
        (decisions(caller, plan))
        dl {
            dt { "Digest" } dd { code { (in_fours(&plan.digest.to_string())) } }
            @if let Some(said) = &plan.said {
                dt { "Made by" } dd { bdi { (said.by) } ", " (parts::time(said.at)) @if let Some(why) = &said.why { ": " bdi { (why) } } }
                dt { "Batch" } dd { @match &said.batch { Some(batch) => a href={ "/batches/" (batch) } { (batch) }, None => span.soft { "None" } } }
                dt { "Approvals until" } dd { (parts::time(said.expires)) }
            }
            @for approval in &plan.approvals {
                dt { "Approved by" } dd {
                    bdi { (approval.person) } " (" (approval.role) "), " (parts::time(approval.at))
                    @if approval.break_glass { span.fault { ", in an emergency, without a second person" } }
                }
            }
            dt { "Sent" } dd { (parts::time_or(plan.applied_at, "Not sent")) }
            dt { "Users who changed since" } dd {
                (parts::number(plan.moved))
                @if plan.moved > 0 { ". They wait and are not deleted by this plan." }
            }
        }
    }
}

/// Those who changed since the plan was saved. A plan may have very many.
fn moved(count: u64, users: &[MovedUser]) -> Markup {
    html! {
        @if !users.is_empty() {
            h2 #moved { "Users who changed since" }
            ul {
                @for user in users {
                    li { (list::user(user.user_id)) @if let Some(name) = &user.user_name { " " bdi { (printable::line(name)) } } }
                }
            }
            @if count > users.len() as u64 {
                p { "These are the first " (parts::number(users.len() as u64)) " of " (parts::number(count)) ", in the order of their IDs; " code { "offboarder users list --waiting-for plan_moved" } " names all." }
            }
        }
    }
}

/// What this person may decide, or why not.
fn decisions(caller: &Caller, plan: &StoredPlan) -> Markup {
    let Some(said) = &plan.said else {
        return html! {};
    };
    let Some(name) = &caller.name else {
        return html! { p.soft { "Only a person decides about plans: sign in with a key." } };
    };
    let is_own = said.by.eq_ignore_ascii_case(name);
    let changes = PlanChange::ALL
        .into_iter()
        .filter(|change| change.fits(plan.state, said.kind));
    html! {
        @for change in changes {
            p {
                @match change {
                    PlanChange::Approve if is_own => {
                        span tabindex="0" aria-disabled="true" { (change.label()) } " "
                        span.soft { "You asked for this, so you cannot approve it." }
                    }
                    PlanChange::Withdraw if !is_own && caller.role != Role::Admin => {
                        span tabindex="0" aria-disabled="true" { (change.label()) } " "
                        span.soft { bdi { (said.by) } " made it, and may withdraw it." }
                    }
                    _ => (link(caller, change.permission(), &change.path(&plan.digest), change.label())),
                }
            }
        }
    }
}

fn is_unusual(user: &PlannedUser) -> bool {
    user.end != End::Delete || user.guard.is_some() || user.observed.incarnation > 1
}

/// Those of whom a person should know something come first.
fn users(mut users: Vec<PlannedUser>) -> Markup {
    users.sort_by_key(|user| !is_unusual(user));
    let unusual = users.iter().filter(|user| is_unusual(user)).count() as u64;
    html! {
        div.scroll tabindex="0" role="region" aria-label="Users of the plan" {
            table {
                caption { (parts::number(unusual)) " of these are no simple deletions; they come first" }
                thead { tr {
                    th scope="col" { "User" } th scope="col" { "Name" } th scope="col" { "Ends" } th scope="col" { "Why" }
                    th scope="col" { "Active" } th.number scope="col" { "Queues, skills, groups" }
                } }
                tbody {
                    @for user in &users {
                        tr {
                            th scope="row" { (list::user(user.user_id)) }
                            td { @match &user.observed.user_name { Some(name) => bdi { (name) }, None => span.soft { "Not known" } } }
                            td { (user.end.as_str()) }
                            td {
                                @if let Some(guard) = &user.guard { (guard) }
                                @if user.observed.incarnation > 1 { " Off-boarded and hired again before." }
                            }
                            td { @match user.observed.active { Some(true) => "Yes", Some(false) => "No", None => span.soft { "Not known" } } }
                            td.number { (parts::number(user.observed.queues.len() as u64)) }
                        }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
#[path = "plans_tests.rs"]
mod tests;
