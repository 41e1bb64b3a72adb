//! What lists have in common: users in a table, the way to the next page, and the filters above.

use jiff::Timestamp;
use maud::{Markup, html};

use super::act::{URGENT, URGENT_LANE};
use super::asked::Asked;
use super::replay_or_discard::REPLAY;
use super::ticks::{self, Tick};
use super::{parts, words};
use crate::admin::caller::Caller;
use crate::failure::Reason;
use crate::job::UserId;
use crate::machine::StateName;
use crate::operations::users::ListedUser;
use crate::people::Permission;

pub(super) fn user(id: UserId) -> Markup {
    html! { a.id href={ "/users/" (id) } { (id) } }
}

/// Users with what they wait for, each with a box.
pub(super) fn users(caller: &Caller, label: &str, users: &[ListedUser], now: Timestamp) -> Markup {
    let acts = [
        Tick {
            permission: Permission::Hold,
            path: "/holds/add",
            words: "Put on hold",
        },
        Tick {
            permission: Permission::Replay,
            path: REPLAY,
            words: "Replay",
        },
        Tick {
            permission: Permission::Submit,
            path: URGENT,
            words: URGENT_LANE,
        },
    ];
    html! {
        div.scroll tabindex="0" role="region" aria-label=(label) {
            table {
                thead { tr {
                    th scope="col" { "Tick" } th scope="col" { "User" } th scope="col" { "Batch" } th scope="col" { "Asked for" }
                    th scope="col" { "Last step" } th scope="col" { "Access" } th scope="col" { "Now" }
                } }
                tbody { @for one in users { (row(one, now)) } }
            }
        }
        (ticks::acts(caller, &acts))
    }
}

fn row(one: &ListedUser, now: Timestamp) -> Markup {
    html! {
        tr {
            td { (ticks::tick("user", &one.user_id)) }
            th scope="row" { (user(one.user_id)) }
            td { @if let Some(batch) = &one.batch_id { a href={ "/batches/" (batch) } { (batch) } } @else { "–" } }
            td {
                @match one.requested_at {
                    Some(at) => { (parts::time(at)) br; span.soft { (parts::age(at, now)) " ago" } }
                    None => span.fault { "Not known" },
                }
            }
            td { (words::state_or_none(one.state)) }
            td {
                @match (one.has_access, one.access_removed_at) {
                    (Some(true), _) => span.fault { "Still has access" },
                    (Some(false), Some(at)) => { "Removed " (parts::time(at)) }
                    (Some(false), None) => "Removed",
                    (None, _) => span.fault { "Not known" },
                }
            }
            td {
                (words::standing(one.standing))
                @if let Some(reason) = one.dead_letter {
                    ": " (parts::code(reason.as_str())) " " a href={ "/dead-letters?user=" (one.user_id) } { "dead letter" }
                }
                @if let Some(why) = &one.waits_for { " " (words::wait(why)) }
                @if let Some(until) = one.waits_until { ", until " (parts::time(until)) }
            }
        }
    }
}

/// The way to the next page.
pub(super) fn next(asked: &Asked, cursor: Option<&str>) -> Markup {
    html! {
        @if let Some(cursor) = cursor {
            p { a rel="next" href=(asked.with("cursor", cursor)) { "Next page" } }
        }
    }
}

/// That a list has nothing. A search that is not over has not found that yet.
pub(super) fn none(asked: &Asked, continues: bool, empty: &str) -> Markup {
    html! {
        p {
            @if continues { "Nothing on this page matches; there is more to search." }
            @else if asked.is_filtered() { "None matches. " a href=(asked.bare()) { "Without the filter" } }
            @else { (empty) }
        }
    }
}

/// A field for a word.
pub(super) fn text(asked: &Asked, name: &str, label: &str) -> Markup {
    html! {
        div { label for=(name) { (label) } input id=(name) name=(name) value=(asked.get(name)); }
    }
}

/// A choice; the empty one is that of no filter.
pub(super) fn choice(asked: &Asked, name: &str, label: &str, options: &[[&str; 2]]) -> Markup {
    html! {
        div {
            label for=(name) { (label) }
            select id=(name) name=(name) {
                option value="" { "Any" }
                @for [value, words] in options {
                    option value=(value) selected[asked.get(name) == *value] { (words) }
                }
            }
        }
    }
}

/// A form of filters.
pub(super) fn filters(fields: &Markup) -> Markup {
    html! { form.filters method="get" { (fields) button type="submit" { "Show" } } }
}

pub(super) fn states(asked: &Asked) -> Markup {
    let states = [
        StateName::Received,
        StateName::QueuesCleared,
        StateName::Deactivated,
        StateName::Archived,
        StateName::Deleted,
        StateName::DeactivatedOnly,
    ];
    let options = states.map(|state| [state.as_str(), state.as_str()]);
    choice(asked, "state", "Last step", &options)
}

pub(super) fn reasons(asked: &Asked) -> Markup {
    let options: Vec<_> = Reason::ALL
        .iter()
        .map(|reason| [reason.as_str(), reason.as_str()])
        .collect();
    choice(asked, "reason", "Reason", &options)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::caller::SignIn;
    use crate::ports::batches::Standing;

    fn local() -> Caller {
        Caller::token(SignIn::Loopback, false)
    }

    fn listed() -> ListedUser {
        ListedUser {
            user_id: "3f1f0d4e-9a51-4b4b-8f6c-1f9a4f9b7c11".parse().unwrap(),
            state: Some(StateName::QueuesCleared),
            standing: Standing::Waiting,
            has_access: Some(true),
            requested_at: Some(Timestamp::UNIX_EPOCH),
            access_removed_at: None,
            waits_for: Some("cxone_timeout".to_owned()),
            waits_until: None,
            dead_letter: None,
            batch_id: Some("b-1".parse().unwrap()),
            updated_at: None,
        }
    }

    #[test]
    fn a_row_says_whether_the_user_has_access_and_why() {
        let text = users(&local(), "Users", &[listed()], Timestamp::UNIX_EPOCH).into_string();
        for expected in [
            "/users/3f1f0d4e-9a51",
            "/batches/b-1",
            "Still has access",
            "/help#cxone_timeout",
        ] {
            assert!(text.contains(expected), "{expected}: {text}");
        }
        let unreadable = ListedUser {
            has_access: None,
            standing: Standing::Unreadable,
            state: None,
            ..listed()
        };
        let text = users(&local(), "Users", &[unreadable], Timestamp::UNIX_EPOCH).into_string();
        assert!(
            text.contains("Not known") && !text.contains("Removed"),
            "{text}"
        );
    }

    #[test]
    fn an_empty_page_differs_from_an_empty_list() {
        let all = Asked::of("/access", "");
        assert!(
            none(&all, false, "Nobody.")
                .into_string()
                .contains("Nobody.")
        );
        assert!(
            none(&all, true, "Nobody.")
                .into_string()
                .contains("more to search")
        );
        let some = Asked::of("/access", "batch=b-1");
        let text = none(&some, false, "Nobody.").into_string();
        assert!(
            text.contains("None matches") && text.contains("href=\"/access\""),
            "{text}"
        );
    }

    #[test]
    fn filters_show_what_was_asked_for() {
        let asked = Asked::of("/x", "q=%22%3E%3Cscript%3E&state=Archived");
        let text = text(&asked, "q", "Name").into_string() + &states(&asked).into_string();
        assert!(
            text.contains("value=\"&quot;&gt;&lt;script&gt;\""),
            "{text}"
        );
        assert!(
            text.contains("<option value=\"Archived\" selected>"),
            "{text}"
        );
    }
}
