//! The page of the users who still have access, and why.

use axum::extract::State;
use axum::{Extension, Json};
use jiff::Timestamp;
use maud::{Markup, html};

use super::asked::Asked;
use super::page::{Menu, Page};
use super::{list, parts};
use crate::admin::api::{Api, users};
use crate::admin::caller::Caller;
use crate::admin::problem::Problem;
use crate::admin::read::Query;
use crate::operations::users::UserPage;

pub(super) async fn show(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    asked: Asked,
) -> Result<Page, Problem> {
    let wanted = asked.read(&[("access", "true")])?;
    let Json(found) = users::list(State(api), Query(wanted)).await?;
    let page = Page::new(
        "Access",
        Menu::Access,
        body(&caller, &asked, &found, found.as_of),
    );
    Ok(page.live().read_at(found.as_of))
}

fn body(caller: &Caller, asked: &Asked, found: &UserPage, now: Timestamp) -> Markup {
    html! {
        h1 { "Who still has access" }
        p.answer data-say { (answer(found, now)) }
        (list::filters(&html! {
            (list::text(asked, "batch", "Batch"))
            (list::text(asked, "older", "Asked for before (15m, or a time)"))
            (list::text(asked, "why", "Why: waits for, or reason"))
            (list::choice(asked, "deadLetter", "Given up", &[["true", "Dead letters only"]]))
            (list::states(asked))
        }))
        @if found.users.is_empty() { (list::none(asked, found.next_cursor.is_some(), "Nobody.")) }
        @else { (list::users(caller, "Users who still have access", &found.users, now)) }
        (list::next(asked, found.next_cursor.as_deref()))
        p.soft {
            "The one who was asked for first is at the head. Users whose messages no worker has taken, and whom "
            code { "offboarder submit" } " did not send, are not known yet."
        }
    }
}

fn answer(found: &UserPage, now: Timestamp) -> Markup {
    html! {
        @match &found.access {
            None => { "Users of one batch." }
            Some(access) if access.users == 0 => "Nobody.",
            Some(access) => {
                (parts::count(access.users, "user")) @if access.users == 1 { " still has access" } @else { " still have access" }
                @if let Some(since) = access.since { ", the oldest for " (parts::age(since, now)) }
                "."
            }
        }
        @if found.access.as_ref().is_some_and(|access| access.complete_since.is_none()) {
            span.fault { " At least: the index is being rebuilt." }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operations::users::AccessTotal;

    fn found(users: u64, complete: bool) -> UserPage {
        UserPage {
            as_of: Timestamp::UNIX_EPOCH,
            users: Vec::new(),
            next_cursor: None,
            access: Some(AccessTotal {
                users,
                since: Some(Timestamp::UNIX_EPOCH),
                complete_since: complete.then_some(Timestamp::UNIX_EPOCH),
            }),
        }
    }

    #[test]
    fn nobody_is_said_only_of_a_complete_count() {
        let now = Timestamp::from_second(3_840).unwrap();
        let text = |found| answer(&found, now).into_string();
        assert_eq!(text(found(0, true)), "Nobody.");
        assert_eq!(
            text(found(12, true)),
            "12 users still have access, the oldest for 1 h 4 min."
        );
        assert!(text(found(0, false)).contains("At least"));
    }
}
