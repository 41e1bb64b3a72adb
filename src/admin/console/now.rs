//! The first page: is the access of anybody still there, and does it get on?

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use jiff::{SignedDuration, Timestamp};
use maud::{Markup, html};

use super::page::{Menu, Page};
use super::{audit_log, parts};
use crate::admin::api::{Api, overview};
use crate::admin::problem::Problem;
use crate::operations::batches::{UnderWay, UnderWayBatches};
use crate::operations::dead_letters::GroupCounts;
use crate::operations::fleet::{Notice, NoticeKind};
use crate::operations::overview::DeploymentOverview;
use crate::operations::part::Part;
use crate::operations::plans::WaitingPlans;
use crate::operations::series::LastHour;
use crate::operations::times;
use crate::operations::users::AccessTotal;

pub(super) async fn show(State(api): State<Api>) -> Result<Page, Problem> {
    let now = api.now();
    let Json(overview): Json<Arc<DeploymentOverview>> = overview::show(State(api)).await?;
    let title = match &overview.access {
        Part {
            known: Some(access),
            unknown: None,
            ..
        } if access.users > 0 => {
            format!("{} with access", parts::number(access.users))
        }
        _ => "Now".to_owned(),
    };
    let page = Page::new(title, Menu::Now, body(&overview, now));
    Ok(page.live().read_at(overview.as_of))
}

fn body(overview: &DeploymentOverview, now: Timestamp) -> Markup {
    html! {
        h1 { "Now" }
        (access(&overview.access, now))
        h2 { "Needs a person" }
        (needs_a_person(overview))
        h2 { "Batches under way" }
        (parts::part(&overview.batches, |known| batches(known, overview.batches.as_of)))
        h2 { "Last hour" }
        (parts::part(&overview.last_hour, hour))
        h2 { "Last changes by operators" }
        (parts::part(&overview.audit_log, |entries| html! {
            @if entries.is_empty() { p { "None." } } @else { (audit_log::table(entries)) }
        }))
        p { a href="/audit-log" { "The whole audit log" } }
    }
}

/// The one sentence for which somebody opens the page at night.
fn access(part: &Part<AccessTotal>, now: Timestamp) -> Markup {
    html! {
        @match (&part.known, &part.unknown) {
            (Some(access), None) => p.answer data-say { (access_sentence(access, now)) },
            (Some(access), Some(why)) => {
                p.answer.fault data-say { "Not known now: " (why.text) ". " (parts::number(access.users)) " was the number" @if let Some(at) = part.as_of { " at " (parts::time(at)) } "." }
                p { (parts::what_to_do(why.code)) }
            }
            (None, Some(why)) => {
                p.answer.fault data-say { "Not known: who still has access. " (why.text) " [" (parts::code(why.code)) "]." }
                p { (parts::what_to_do(why.code)) }
            }
            (None, None) => p.answer.fault { "Not known: who still has access." },
        }
        @if let Some(since) = part.known.as_ref().and_then(|access| access.complete_since) {
            p.soft { "Every request since " (parts::time(since)) " is counted." }
        }
    }
}

fn access_sentence(access: &AccessTotal, now: Timestamp) -> Markup {
    html! {
        @match (access.users, access.since) {
            (0, _) => span.good { "Nobody who was asked for still has access." },
            (users, since) => {
                a.fault href="/access" {
                    @if users == 1 { "1 user still has access" } @else { (parts::number(users)) " users still have access" }
                }
                @if let Some(since) = since { ", the oldest for " (parts::age(since, now)) }
                "."
            }
        }
    }
}

fn needs_a_person(overview: &DeploymentOverview) -> Markup {
    let is_urgent = |notice: &&Notice| match notice.kind {
        NoticeKind::NoWorker
        | NoticeKind::Paused
        | NoticeKind::WorkersStopped
        | NoticeKind::RequestLimitReached
        | NoticeKind::ApprovalsWait
        | NoticeKind::WorkersUnknown
        | NoticeKind::PauseUnknown
        | NoticeKind::QueuesUnknown => true,
        // It lets users on by itself.
        NoticeKind::DeletionRateLimitReached => false,
    };
    let notices: Vec<&Notice> = overview.fleet.notices.iter().filter(is_urgent).collect();
    let groups = &overview.dead_letter_groups;
    let is_quiet = groups
        .known
        .as_ref()
        .is_some_and(|groups| groups.open + groups.state_unknown == 0);
    let none_waits = overview
        .plans
        .known
        .is_some_and(|plans| plans.waiting + plans.not_read == 0);
    let is_known = groups.unknown.is_none() && overview.plans.unknown.is_none();
    html! {
        @if notices.is_empty() && is_quiet && none_waits && is_known { p.good { "Nothing needs a person." } }
        @else {
            ul { @for notice in notices { li { (notice.text) } } }
            (parts::part(groups, dead_letters))
            (parts::part(&overview.plans, plans))
        }
    }
}

fn plans(plans: &WaitingPlans) -> Markup {
    html! {
        @if plans.waiting > 0 {
            p {
                a href="/plans?state=waiting" { (parts::count(plans.waiting, "plan")) " of " (parts::count(plans.deletions, "deletion")) }
                @if plans.waiting == 1 { " waits" } @else { " wait" } " for an approval."
            }
        }
        @if plans.not_read > 0 { p.fault { "Not known: whether " (parts::count(plans.not_read, "older plan")) " wait for an approval." } }
    }
}

fn dead_letters(groups: &GroupCounts) -> Markup {
    let with_access = groups.access.still_there as u64;
    html! {
        @if groups.open + groups.state_unknown > 0 {
            p {
                a href="/dead-letters" { (parts::count(groups.open as u64, "group")) " of dead letters open" }
                @if groups.state_unknown > 0 { ", of " (groups.state_unknown) " it is not known" }
                @if groups.came_back > 0 { ", " (groups.came_back) " came back after a replay" }
                ". "
                @if with_access > 0 {
                    span.fault {
                        @if !groups.access_confirmed { "At most " }
                        (parts::count(with_access, "user")) " in them still have access."
                    }
                }
            }
        }
    }
}

fn batches(known: &UnderWayBatches, as_of: Option<Timestamp>) -> Markup {
    html! {
        @if known.batches.is_empty() && known.not_read == 0 { p { "None." } }
        @if !known.batches.is_empty() {
            div.scroll tabindex="0" role="region" aria-label="Batches under way" {
                table {
                    thead { tr {
                        th scope="col" { "Batch" } th.number scope="col" { "Users" } th scope="col" { "Done" }
                        th.number scope="col" { "Left" } th.number scope="col" { "With access" }
                        th.number scope="col" { "Dead letters" } th scope="col" { "Done about" }
                    } }
                    tbody { @for batch in &known.batches { (row(batch, as_of)) } }
                }
            }
        }
        @if known.not_read > 0 {
            p.fault { "Not known: " (parts::count(known.not_read, "more batch")) " may be under way: being read, or with too many users for this page. " a href="/batches" { "All batches" } }
        }
    }
}

fn row(row: &UnderWay, as_of: Option<Timestamp>) -> Markup {
    let batch = &row.batch;
    let done = batch.users.saturating_sub(row.progress.left);
    html! {
        tr {
            th scope="row" { a href={ "/batches/" (batch.batch_id) } { (batch.batch_id) } @if row.pause.is_some() { " (paused)" } }
            td.number { (parts::number(batch.users)) }
            td { progress max=(batch.users) value=(done) aria-label={ "Done of " (batch.batch_id) } { (done) } }
            td.number { (parts::number(row.progress.left)) }
            td.number { (parts::number(row.progress.still_have_access)) }
            td.number { (parts::number(row.progress.dead_letters)) }
            td { (done_about(row.time_left_seconds, as_of)) }
        }
    }
}

/// The time of the end, which does not change each second as the time that is left does.
pub(super) fn done_about(left_seconds: Option<u64>, as_of: Option<Timestamp>) -> Markup {
    let left = left_seconds.and_then(|left| i64::try_from(left).ok());
    let end = as_of.zip(left).and_then(|(as_of, left)| {
        let end = as_of.checked_add(SignedDuration::from_secs(left));
        end.ok()
    });
    html! {
        @match end {
            Some(end) => { (end.strftime("%Y-%m-%d %H:%M")) " UTC" }
            None => span.soft { "Cannot say: nobody finished in the last 15 minutes, or work is stopped" },
        }
    }
}

fn hour(hour: &LastHour) -> Markup {
    html! {
        ul {
            li { (parts::number(hour.finished)) " users finished, " (format!("{:.1}", hour.finished_per_minute)) " a minute" }
            li {
                "Access of " (parts::count(hour.access_removed, "user")) " removed"
                @if hour.access_removed > 0 {
                    @match hour.access_removed_p95_at_most_seconds {
                        Some(seconds) => { ", 95 of 100 within " (times::whole_span(seconds)) }
                        None => ", 95 of 100 within more than a day",
                    }
                }
            }
            @for quota in &hour.quotas {
                li {
                    "Quota " code { (quota.class) } ": " (parts::number(quota.used)) " calls"
                    @if let Some(allowed) = quota.allowed { " of " (format!("{allowed:.0}")) }
                    @if quota.throttled > 0 { span.fault { ", " (parts::number(quota.throttled)) " throttled" } }
                }
            }
        }
        @if hour.minutes_known < 60 { p.soft { "Known of " (parts::count(hour.minutes_known, "minute")) "." } }
    }
}
