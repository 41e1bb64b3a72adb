//! The page of the workers: who works, and what limits the work.

use axum::extract::State;
use axum::{Extension, Json};
use maud::{Markup, html};

use super::act::link;
use super::page::{Menu, Page};
use super::parts;
use crate::admin::api::{Api, limits, workers};
use crate::admin::caller::Caller;
use crate::admin::problem::Problem;
use crate::operations::fleet::Fleet;
use crate::operations::limits::{DeletionsNow, LastMinute, LimitsNow};
use crate::operations::series::QuotaUse;
use crate::people::Permission;
use crate::ports::{LaneSlots, LiveWorker};

pub(super) async fn show(State(api): State<Api>, Extension(caller): Extension<Caller>) -> Page {
    let (fleet, listed, limits) = tokio::join!(
        workers::fleet_state(State(api.clone())),
        workers::list(State(api.clone())),
        limits::show(State(api.clone())),
    );
    let listed = listed.map(|Json(listed)| listed.workers);
    Page::new(
        "Workers",
        Menu::Workers,
        body(&caller, &fleet.0, &listed, &limits.0),
    )
    .live()
}

fn body(
    caller: &Caller,
    fleet: &Fleet,
    listed: &Result<Vec<LiveWorker>, Problem>,
    limits: &LimitsNow,
) -> Markup {
    html! {
        h1 { "Workers" }
        p.answer data-say { (answer(fleet)) }
        @if !fleet.notices.is_empty() {
            ul { @for notice in &fleet.notices { li { (notice.text) } } }
        }
        p {
            (link(caller, Permission::Pause, "/pause", "Pause all workers")) " · "
            (link(caller, Permission::Pause, "/resume", "Resume"))
        }
        @match listed {
            Ok(listed) => (table(listed)),
            Err(problem) => (parts::unknown(problem.detail(), problem.code())),
        }
        h2 { "Quotas" }
        (parts::part(&limits.quotas, quotas))
        p { a href="/workers/history" { "Calls, and users finished, in the last 48 hours" } }
        h2 { "Deletion rate limit" }
        (deletions(&limits.deletion_rate_limit))
    }
}

/// The state in one sentence.
fn answer(fleet: &Fleet) -> String {
    match (fleet.workers_alive, fleet.workers_ready) {
        (Some(0), _) => "No worker is alive. No user continues.".to_owned(),
        (Some(alive), Some(ready)) => {
            let stops = if fleet.stopped {
                " No user is taken now."
            } else {
                ""
            };
            format!(
                "{ready} of {} can take users.{stops}",
                parts::count(alive as u64, "worker")
            )
        }
        _ => "Not known: whether workers are alive.".to_owned(),
    }
}

fn table(listed: &[LiveWorker]) -> Markup {
    let mut releases: Vec<&str> = listed
        .iter()
        .map(|live| live.worker.version.as_str())
        .collect();
    releases.sort_unstable();
    releases.dedup();
    html! {
        @if releases.len() > 1 {
            p { "Rolling out: releases " (releases.join(" and ")) " work at the same time." }
        }
        @if listed.is_empty() { p { "None." } }
        @else {
            div.scroll tabindex="0" role="region" aria-label="Workers" {
                table {
                    caption { "A worker that sends no heartbeat for 15 seconds leaves the list." }
                    thead { tr {
                        th scope="col" { "Name" } th scope="col" { "Release" } th scope="col" { "Takes users" }
                        th.number scope="col" { "Users in progress" } th.number scope="col" { "Access lane" }
                        th.number scope="col" { "Archive lane" } th scope="col" { "Started" }
                    } }
                    tbody { @for live in listed { (row(live)) } }
                }
            }
        }
    }
}

fn row(live: &LiveWorker) -> Markup {
    let worker = &live.worker;
    let slots = |slots: Option<LaneSlots>| {
        slots.map_or_else(
            || "–".to_owned(),
            |lane| format!("{} of {}", lane.in_use, lane.slots),
        )
    };
    html! {
        tr {
            th scope="row" { bdi { (worker.name) } }
            td { (worker.version) }
            td {
                @if worker.ready { span.good { "Yes" } } @else { span.fault { "No" } }
                @if worker.draining { ", it shuts down" }
                @for cause in &worker.causes { br; (cause) }
                @if let Some(since) = worker.not_ready_since { br; "since " (parts::time(since)) }
            }
            td.number { (worker.in_flight) " of " (worker.concurrency) }
            td.number { (slots(worker.lanes.map(|lanes| lanes.access))) }
            td.number { (slots(worker.lanes.map(|lanes| lanes.archive))) }
            td { (parts::time(worker.since)) }
        }
    }
}

fn quotas(minute: &LastMinute) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label="Quotas" {
            table {
                caption { "Calls to CXone of all workers in the minute from " (parts::time(minute.minute)) }
                thead { tr {
                    th scope="col" { "Class" } th scope="col" { "Used" } th.number scope="col" { "Calls" }
                    th.number scope="col" { "Allowed" } th.number scope="col" { "Throttled (429)" }
                } }
                tbody { @for class in &minute.classes { (quota(class)) } }
            }
        }
    }
}

fn quota(class: &QuotaUse) -> Markup {
    html! {
        tr {
            th scope="row" { (class.class) }
            td {
                @if let Some(allowed) = class.allowed {
                    meter min="0" max=(format!("{allowed:.0}")) value=(class.used)
                        aria-label={ "Quota of " (class.class) } { (class.used) }
                }
            }
            td.number { (parts::number(class.used)) }
            td.number { @match class.allowed { Some(allowed) => (format!("{allowed:.0}")), None => "no limit" } }
            td.number { (parts::number(class.throttled)) }
        }
    }
}

fn deletions(limit: &DeletionsNow) -> Markup {
    let Some((allowed, per)) = limit.allowed.zip(limit.per_seconds) else {
        return html! { p { "Off: deletions are not limited." } };
    };
    let period = crate::operations::times::whole_span(per);
    html! {
        @if let Some(used) = &limit.used {
            (parts::part(used, |used| html! {
                p {
                    meter min="0" max=(allowed) value=(used) aria-label="Deletions sent" { (used) }
                    " " (parts::number(*used)) " of " (parts::number(allowed.into())) " deletions were sent in the last " (period) "."
                }
            }))
        }
        p {
            @match limit.users_waiting {
                Some(0) => "No user waits for it.",
                Some(waiting) => { (parts::count(waiting, "user")) " wait for it; their access is removed already." }
                None => span.fault { "Not known: how many users wait for it." },
            }
        }
    }
}

#[cfg(test)]
#[path = "workers_tests.rs"]
mod tests;
