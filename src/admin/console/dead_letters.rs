//! The pages of dead letters: the groups, one group, one dead letter.
//!
//! They do not keep themselves current: reading the queue hides it from others for a moment, and an assessment asks CXone.

use axum::extract::State;
use axum::{Extension, Json};
use maud::{Markup, html};

use super::act::link;
use super::asked::Asked;
use super::page::{Menu, Page};
use super::replay_or_discard::{DISCARD, REPLAY};
use super::ticks::{self, Tick};
use super::{group_change, list, parts, words};
use crate::admin::api::{Api, dead_letter_groups, dead_letters};
use crate::admin::caller::Caller;
use crate::admin::problem::Problem;
use crate::admin::read::{At, Query};
use crate::operations::dead_letters::{
    DeadLetterId, Group, GroupHistory, GroupName, Listed, Listing, ShownDeadLetter,
};
use crate::people::Permission;
use crate::printable;

const STATIC: &str = "This page does not keep itself current: to read dead letters hides them from others for a moment.";

pub(super) async fn groups(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    asked: Asked,
) -> Result<Page, Problem> {
    let filter = asked.read(&[])?;
    let Json(found) = dead_letter_groups::list(State(api), Query(filter)).await?;
    Ok(Page::new(
        "Dead letters",
        Menu::DeadLetters,
        groups_body(&caller, &asked, &found.groups),
    ))
}

fn groups_body(caller: &Caller, asked: &Asked, groups: &[Group]) -> Markup {
    html! {
        h1 { "Dead letters" }
        p { "Users who were given up, by fault. The messages stay in the queue until a person decides. " span.soft { (STATIC) } }
        (list::filters(&html! {
            (list::text(asked, "batch", "Batch"))
            (list::reasons(asked))
            (list::text(asked, "user", "User ID"))
            (list::text(asked, "since", "Since (2h, or a time)"))
        }))
        @if groups.is_empty() { (list::none(asked, false, "Nobody is given up. What somebody else reads at this moment is not visible: load the page again to be sure.")) } @else {
            p { (link(caller, Permission::Replay, &asked.at("/operations/new"), "Replay what is safe")) }
            (group_table(groups))
        }
    }
}

fn group_table(groups: &[Group]) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label="Groups of dead letters" {
            table {
                caption { "Open groups first, then the largest" }
                thead { tr {
                    th scope="col" { "Fault" } th scope="col" { "A replay now" } th scope="col" { "State" }
                    th.number scope="col" { "Dead letters" } th.number scope="col" { "With access" } th scope="col" { "First and last" }
                } }
                tbody { @for group in groups { (group_row(group)) } }
            }
        }
    }
}

fn group_row(group: &Group) -> Markup {
    html! {
        tr {
            th scope="row" {
                a href={ "/dead-letters/groups/" (group.fingerprint) } { (group.code) @if !group.step.is_empty() { " at " (group.step) } }
                br; span.soft { (printable::line(&group.error)) }
            }
            td { (words::safety(group.assessment.safety)) br; span.soft { (group.assessment.why) } }
            td { (words::group(group.handling.state)) @if let Some(owner) = &group.handling.owner { br; "Taken care of by " bdi { (owner) } } @if let Some(note) = &group.handling.note { br; bdi { (note) } } }
            td.number { (parts::number(group.count as u64)) }
            td.number {
                @if group.access.still_there > 0 { span.fault { (parts::number(group.access.still_there as u64)) } } @else { "0" }
                @if group.access.unknown > 0 { ", of " (group.access.unknown) " not known" }
            }
            td { (parts::time_or(group.first_seen, "Not known")) br; (parts::time_or(group.last_seen, "Not known")) }
        }
    }
}

pub(super) async fn group(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    At(name): At<GroupName>,
) -> Result<Page, Problem> {
    let asked = Asked::of("", &format!("group={}", name.as_str()));
    let listing = dead_letters::list(State(api.clone()), Query(asked.read(&[("limit", "100")])?));
    // One scan after the other: two at a time hide messages from each other.
    let Json(listing) = listing.await?;
    let Json(found) = dead_letter_groups::list(State(api.clone()), Query(asked.read(&[])?)).await?;
    let past = dead_letter_groups::history(State(api), At(name)).await;
    let past = past.map(|history| history.0);
    let group = found.groups.into_iter().next().ok_or_else(|| {
        Problem::not_found(
            "no_such_group",
            "no dead letter in the queue has this fault any more",
        )
    })?;
    let title = format!("{} – dead letters", group.code);
    Ok(Page::new(
        title,
        Menu::DeadLetters,
        group_body(&caller, &group, &listing, &past),
    ))
}

fn group_body(
    caller: &Caller,
    group: &Group,
    listing: &Listing,
    past: &Result<GroupHistory, Problem>,
) -> Markup {
    let handling = &group.handling;
    html! {
        h1 { "Dead letters: " (group.code) @if !group.step.is_empty() { " at " (group.step) } }
        p.answer {
            (parts::count(group.count as u64, "dead letter")) ". "
            @if group.access.still_there > 0 { span.fault { (parts::count(group.access.still_there as u64, "user")) " in them still have access. " } }
            (words::safety(group.assessment.safety)) "."
        }
        p { (group.assessment.why) " " span.soft { "(" (group.assessed) " of " (group.count) " were assessed. " (STATIC) ")" } }
        dl {
            dt { "What failed" } dd { bdi { (printable::line(&group.error)) } }
            dt { "What fixes it" } dd { (parts::code(group.code)) " " (parts::what_to_do(group.code)) }
            dt { "Reason" } dd { (parts::code(group.reason.as_str())) }
            dt { "Fingerprint" } dd { code { (group.fingerprint) } }
            dt { "First and last" } dd { (parts::time_or(group.first_seen, "Not known")) " to " (parts::time_or(group.last_seen, "Not known")) }
            dt { "State" } dd { (group_change::state(handling)) }
            dt { "Taken care of by" } dd { @match &handling.owner { Some(owner) => bdi { (owner) }, None => span.soft { "Nobody" } } }
            @if let (Some(who), Some(at)) = (&handling.who, handling.at) {
                dt { "Last change" } dd { bdi { (who) } ", " (parts::time(at)) @if let Some(why) = &handling.why { ": " bdi { (why) } } }
            }
            @if let Some(note) = &handling.note { dt { "Note" } dd { bdi { (note) } } }
            @if let Some(replay) = &group.last_replay {
                dt { "Last replay" } dd {
                    (parts::time(replay.at)) ": " (replay.replayed) " sent; of " (replay.followed) " that were followed, " (replay.got_past)
                    " got past the fault, " (replay.came_back) " came back"
                }
            }
            dt { "Command" } dd { code { (group.next) } }
        }
        p { (link(caller, Permission::Replay, &format!("/operations/new?group={}", group.fingerprint), "Replay")) }
        (group_change::decisions(caller, group))
        (group_change::history(handling, past))
        h2 { "Dead letters" }
        (table(caller, &listing.dead_letters))
        @if listing.more > 0 { p { "And " (parts::number(listing.more as u64)) " more." } }
    }
}

fn table(caller: &Caller, listed: &[Listed]) -> Markup {
    let acts = [
        Tick {
            permission: Permission::Replay,
            path: REPLAY,
            words: "Replay",
        },
        Tick {
            permission: Permission::Discard,
            path: DISCARD,
            words: "Discard",
        },
    ];
    html! {
        div.scroll tabindex="0" role="region" aria-label="Dead letters" {
            table {
                caption { "Oldest first" }
                thead { tr { th scope="col" { "Tick" } th scope="col" { "Dead letter" } th scope="col" { "User" } th scope="col" { "Access" } th scope="col" { "Since" } th.number scope="col" { "Replays" } } }
                tbody {
                    @for one in listed {
                        tr {
                            td { (ticks::tick("letter", &one.dead_letter.id)) }
                            th scope="row" { a.id href={ "/dead-letters/" (one.dead_letter.id) } { (one.dead_letter.id) } }
                            td { @match one.dead_letter.user_id { Some(user) => (list::user(user)), None => span.soft { "The message names none" } } }
                            td { (words::access(one.access)) }
                            td { (parts::time_or(one.dead_letter.dead_lettered_at, "Not known")) }
                            td.number { (one.dead_letter.replays) }
                        }
                    }
                }
            }
        }
        (ticks::acts(caller, &acts))
    }
}

pub(super) async fn one(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    At(id): At<DeadLetterId>,
) -> Result<Page, Problem> {
    let Json(shown) = dead_letters::show(State(api), Extension(caller), At(id)).await?;
    Ok(Page::new(
        "Dead letter",
        Menu::DeadLetters,
        one_body(&shown),
    ))
}

fn one_body(shown: &ShownDeadLetter) -> Markup {
    let dead_letter = &shown.whole.dead_letter;
    html! {
        h1 { "Dead letter " span.id { (dead_letter.id) } }
        p.answer { (words::access(shown.access)) ". " @if let Some(assessment) = &shown.assessment { (words::safety(assessment.safety)) "." } }
        @if let Some(assessment) = &shown.assessment { p { (assessment.why) } }
        dl {
            dt { "User" } dd { @match dead_letter.user_id { Some(user) => (list::user(user)), None => span.soft { "The message names none" } } }
            dt { "Batch" } dd { @match &dead_letter.batch_id { Some(batch) => a href={ "/batches/" (batch) } { (batch) }, None => span.soft { "None" } } }
            dt { "Reason" } dd { (parts::code(dead_letter.reason.as_str())) }
            dt { "What failed" } dd { bdi { (printable::line(&dead_letter.error)) } }
            dt { "Group" } dd { a href={ "/dead-letters/groups/" (dead_letter.fingerprint) } { code { (dead_letter.fingerprint) } } }
            dt { "Since" } dd { (parts::time_or(dead_letter.dead_lettered_at, "Not known")) }
            dt { "Last step" } dd { (words::state_or_none(shown.last_state)) }
            dt { "Attempts" } dd { (dead_letter.attempts) }
            dt { "Worker" } dd { bdi { (printable::line(&dead_letter.worker)) } }
        }
        h2 { "Headers" }
        (document(&shown.whole.headers))
        h2 { "Properties" }
        (document(&shown.whole.properties))
        h2 { "Body" }
        @match &shown.whole.body {
            Some(body) => (foreign(body)),
            None => { p { "It is not UTF-8; in Base64:" } (foreign(&shown.whole.body_base64)) }
        }
    }
}

fn document(value: &serde_json::Value) -> Markup {
    foreign(&serde_json::to_string_pretty(value).unwrap_or_default())
}

/// The longest text of a message that a page shows.
const SHOWN_CHARS: usize = 10_000;

/// Text from outside: what a browser would obey, hide or reorder is shown by its code.
fn foreign(text: &str) -> Markup {
    let cut: String = text.chars().take(SHOWN_CHARS).collect();
    let is_cut = cut.len() < text.len();
    html! {
        pre.wrap tabindex="0" dir="ltr" { @for line in cut.split('\n') { (printable::line(line)) "\n" } }
        @if is_cut { p { "Cut after " (parts::number(SHOWN_CHARS as u64)) " characters; " code { "offboarder dead-letters show" } " has all." } }
    }
}

#[cfg(test)]
#[path = "dead_letters_tests.rs"]
mod tests;
