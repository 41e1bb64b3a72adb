//! What operators decide about groups of dead letters, by forms.

use axum::extract::{Path, State};
use axum::{Extension, Json};
use maud::{Markup, html};
use serde_json::json;

use super::act::{Act, done, link};
use super::given::Given;
use super::page::{Menu, Page};
use super::{parts, words};
use crate::admin::api::{Api, dead_letter_groups};
use crate::admin::caller::Caller;
use crate::admin::problem::Problem;
use crate::admin::read::{At, Body};
use crate::operations::dead_letters::{
    Group, GroupChanged, GroupHistory, GroupName, GroupState, Handling, PastDecision,
};
use crate::people::Permission;

/// `{change}` is one of [`GroupAct`].
pub(super) const PATH: &str = "/dead-letters/groups/{group}/{change}";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum GroupAct {
    Ignore,
    Resolve,
    Reopen,
    Note,
    Owner,
}

impl GroupAct {
    const ALL: [Self; 5] = [
        Self::Ignore,
        Self::Resolve,
        Self::Reopen,
        Self::Note,
        Self::Owner,
    ];

    const fn word(self) -> &'static str {
        match self {
            Self::Ignore => "ignore",
            Self::Resolve => "resolve",
            Self::Reopen => "reopen",
            Self::Note => "note",
            Self::Owner => "owner",
        }
    }

    const fn label(self) -> &'static str {
        match self {
            Self::Ignore => "Ignore until",
            Self::Resolve => "Resolved",
            Self::Reopen => "Open again",
            Self::Note => "Write a note",
            Self::Owner => "Say who takes care",
        }
    }

    const fn explanation(self) -> &'static str {
        match self {
            Self::Ignore => {
                "Nobody has to act until then. The group is open again at that time or with that many more dead letters, whichever is first, and at once if a dead letter of somebody arrives who still has access."
            }
            Self::Resolve => {
                "The cause is fixed. The dead letters stay in the queue until they are replayed, and the group is open again when a newer one arrives."
            }
            Self::Reopen => "Somebody has to act again.",
            Self::Note => {
                "For the next operator, e.g. what was tried. It takes the place of the note before."
            }
            Self::Owner => {
                "A person or a team, shown with the group until another one takes care of it."
            }
        }
    }

    fn fields(self, given: &Given) -> Markup {
        html! {
            @match self {
                Self::Ignore => {
                    div { label for="until" { "Until (7d, or a time such as 2026-12-01T00:00:00Z)" } input #until name="until" value=(given.get("until")) maxlength="20"; }
                    div { label for="more" { "Or until there are this many more dead letters than now" } input #more name="more" value=(given.get("more")) inputmode="numeric" maxlength="7"; }
                }
                Self::Resolve => {
                    div { label for="release" { "The release that has the fix, if it is one" } input #release name="release" value=(given.get("release")) maxlength="64"; }
                }
                Self::Note => {
                    div { label for="note" { "Note; empty removes it" } input #note name="note" value=(given.get("note")) maxlength="1000"; }
                }
                Self::Owner => {
                    div { label for="owner" { "Who takes care; empty removes the name" } input #owner name="owner" value=(given.get("owner")) maxlength="200"; }
                }
                Self::Reopen => {}
            }
        }
    }

    fn path(self, group: &str) -> String {
        format!("/dead-letters/groups/{group}/{}", self.word())
    }

    fn act(self, group: &GroupName, given: &Given) -> Act {
        Act {
            title: format!("{}: group {group}", self.label()),
            menu: Menu::DeadLetters,
            path: self.path(group.as_str()),
            permission: Permission::Replay,
            button: self.label(),
            explanation: html! { p { (self.explanation()) } },
            fields: self.fields(given),
            confirm: None,
        }
    }

    async fn change(
        self,
        api: Api,
        caller: &Caller,
        group: &GroupName,
        given: &Given,
    ) -> Result<GroupChanged, Problem> {
        caller.demand(Permission::Replay)?;
        let state = State(api);
        let signing = Extension(caller.clone());
        let group = At(group.clone());
        let filled = |name: &str| {
            Some(given.get(name))
                .filter(|text| !text.is_empty())
                .map(str::to_owned)
        };
        let Json(changed) = match self {
            Self::Ignore => {
                let more = more(given)?;
                let members = json!({ "until": filled("until"), "moreLetters": more });
                let order = given.order(caller, members)?;
                dead_letter_groups::ignore(state, signing, group, Body(order)).await?
            }
            Self::Resolve => {
                let order = given.order(caller, json!({ "release": filled("release") }))?;
                dead_letter_groups::resolve(state, signing, group, Body(order)).await?
            }
            Self::Reopen => {
                let order = given.order(caller, json!({}))?;
                dead_letter_groups::reopen(state, signing, group, Body(order)).await?
            }
            Self::Note => {
                let order = given.order(caller, json!({ "note": filled("note") }))?;
                dead_letter_groups::note(state, signing, group, Body(order)).await?
            }
            Self::Owner => {
                let order = given.order(caller, json!({ "owner": filled("owner") }))?;
                dead_letter_groups::owner(state, signing, group, Body(order)).await?
            }
        };
        Ok(changed)
    }
}

/// How many more dead letters open the group again, if that was filled in.
fn more(given: &Given) -> Result<Option<u64>, Problem> {
    let typed = given.get("more").replace(',', "");
    if typed.is_empty() {
        return Ok(None);
    }
    let number = typed.parse().map_err(|_typed| {
        Problem::bad_request("The number of dead letters is not a whole number; nothing was done.")
    })?;
    Ok(Some(number))
}

/// A path of two parameters: the group, and what is done.
fn read(path: &[String; 2]) -> Result<(GroupName, GroupAct), Problem> {
    let [group, word] = path;
    let group = group
        .parse()
        .map_err(|why| Problem::bad_request(format!("the path: {why}")))?;
    let act = GroupAct::ALL.into_iter().find(|act| act.word() == word);
    let act = act.ok_or_else(|| Problem::not_found("not_found", "this page does not exist"))?;
    Ok((group, act))
}

/// What may be decided about a group. One in which somebody may still have access cannot be ignored.
pub(super) fn decisions(caller: &Caller, group: &Group) -> Markup {
    let access = group.access.still_there + group.access.unknown;
    let discard = format!("/operations/discard?group={}", group.fingerprint);
    html! {
        @for act in GroupAct::ALL {
            @let is_open = group.handling.state == GroupState::Open;
            @match act {
                GroupAct::Reopen if is_open => {}
                GroupAct::Ignore if access > 0 => {
                    p {
                        span tabindex="0" aria-disabled="true" { (act.label()) } " "
                        span.soft { (parts::number(access as u64)) " of these " @if group.access.still_there == 0 { "may " } "still have access; such a group cannot be ignored." }
                    }
                }
                _ => p { (link(caller, Permission::Replay, &act.path(&group.fingerprint), act.label())) }
            }
        }
        p { (link(caller, Permission::Discard, &discard, "Discard")) }
    }
}

/// The state of a group, the decision it rests on, and why that does not count any more.
pub(super) fn state(handling: &Handling) -> Markup {
    html! {
        (words::group(handling.state))
        @if let Some(until) = handling.until { ", until " (parts::time(until)) }
        @if let Some(count) = handling.until_count { ", until there are " (parts::number(count as u64)) }
        @if let Some(release) = &handling.release { ", in release " bdi { (release) } }
        @if let Some(why) = &handling.reopened { ". Open again: " (why) }
    }
}

/// What was decided before, and what has become of the last decision.
pub(super) fn history(handling: &Handling, history: &Result<GroupHistory, Problem>) -> Markup {
    html! {
        h2 { "History" }
        @match history {
            Err(problem) => (parts::unknown(problem.detail(), problem.code())),
            Ok(history) if history.decisions.is_empty() => p { "Nothing was decided." },
            Ok(history) => {
                ol.history {
                    @if let Some(why) = &handling.reopened { li { span.fault { "Open again: " (why) } } }
                    @for decision in &history.decisions { li { (past(decision.as_ref())) } }
                }
                @if history.older > 0 { p { "And " (parts::number(u64::from(history.older))) " older decisions; the audit log has all." } }
            }
        }
    }
}

fn past(decision: Option<&PastDecision>) -> Markup {
    let Some(decision) = decision else {
        return html! { span.fault { "Not known: the record cannot be believed" } };
    };
    html! {
        (parts::time(decision.at)) ": " (words::group(decision.state))
        @if let Some(until) = decision.until { ", until " (parts::time(until)) }
        @if let Some(count) = decision.until_count { ", until there are " (parts::number(count as u64)) }
        @if let Some(release) = &decision.release { ", in release " bdi { (release) } }
        ", by " bdi { (decision.who) }
        @if let Some(owner) = &decision.owner { ", taken care of by " bdi { (owner) } }
        @if let Some(why) = &decision.why { ": " bdi { (why) } }
        @if let Some(note) = &decision.note { " (note: " bdi { (note) } ")" }
    }
}

pub(super) async fn form(
    Extension(caller): Extension<Caller>,
    Path(path): Path<[String; 2]>,
) -> Result<Page, Problem> {
    let asked = read(&path)?;
    let given = Given::default();
    Ok(asked.1.act(&asked.0, &given).page(&caller, &given, None))
}

pub(super) async fn decide(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    Path(path): Path<[String; 2]>,
    given: Given,
) -> Result<Page, Problem> {
    let asked = read(&path)?;
    let act = asked.1.act(&asked.0, &given);
    let changed = match asked.1.change(api, &caller, &asked.0, &given).await {
        Ok(changed) => changed,
        Err(problem) => return Ok(act.page(&caller, &given, Some(&problem))),
    };
    let body = html! {
        p.answer { "The group: " (state(&changed.handling)) "." }
        @if let Some(note) = &changed.handling.note { p { "Note: " bdi { (note) } } }
        @if let Some(owner) = &changed.handling.owner { p { "Taken care of by: " bdi { (owner) } } }
    };
    let page = if changed.count > 0 {
        format!("/dead-letters/groups/{}", changed.group)
    } else {
        "/dead-letters".to_owned()
    };
    Ok(done(&act.title, act.menu, &body, [&page, "Back"]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(change: &str) -> [String; 2] {
        ["2d1f5436374b".to_owned(), change.to_owned()]
    }

    #[test]
    fn each_decision_has_an_address_and_another_word_has_none() {
        for act in GroupAct::ALL {
            assert_eq!(read(&path(act.word())).unwrap().1, act);
        }
        assert!(read(&path("delete")).is_err());
        assert!(read(&["<b>".to_owned(), "note".to_owned()]).is_err());
    }

    #[test]
    fn a_history_says_who_decided_what_and_that_a_record_is_not_believed() {
        let handling = Handling {
            state: GroupState::Open,
            reopened: Some("came back: it was resolved in 0.3.0".to_owned()),
            until: None,
            until_count: None,
            release: None,
            note: None,
            owner: None,
            who: None,
            why: None,
            at: None,
        };
        let decision = PastDecision {
            state: GroupState::Resolved,
            until: None,
            until_count: None,
            release: Some("0.3.0<b>".to_owned()),
            note: None,
            owner: Some("bob".to_owned()),
            who: "ada".to_owned(),
            why: Some("fixed".to_owned()),
            at: jiff::Timestamp::UNIX_EPOCH,
        };
        let found = GroupHistory {
            group: "2d1f5436374b".to_owned(),
            decisions: vec![Some(decision), None],
            older: 3,
        };
        let text = history(&handling, &Ok(found)).into_string();
        for expected in [
            "came back: it was resolved",
            "in release <bdi>0.3.0&lt;b&gt;</bdi>, by <bdi>ada</bdi>, taken care of by <bdi>bob</bdi>",
            "cannot be believed",
            "And 3 older",
        ] {
            assert!(text.contains(expected), "{expected}: {text}");
        }
        let away = Problem::bad_request("the archive store does not answer");
        let text = history(&handling, &Err(away)).into_string();
        assert!(text.contains("Not known:"), "{text}");
    }

    #[test]
    fn the_number_of_dead_letters_is_read_as_it_is_shown_and_no_other_text() {
        let read = |text| more(&Given::of(&[("more", text)]));
        assert_eq!(read("1,204").ok(), Some(Some(1_204)));
        assert_eq!(read(" ").ok(), Some(None));
        assert!(read("x").is_err());
    }

    #[test]
    fn what_was_typed_is_kept() {
        let given = Given::of(&[("until", "\"7d")]);
        let text = GroupAct::Ignore.fields(&given).into_string();
        assert!(text.contains("value=\"&quot;7d\""), "{text}");
    }
}
