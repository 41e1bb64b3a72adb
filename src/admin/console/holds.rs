//! The page of legal holds.

use axum::extract::State;
use axum::{Extension, Json};
use maud::{Markup, html};

use super::act::link;
use super::page::{Menu, Page};
use super::{list, parts};
use crate::admin::api::{Api, holds};
use crate::admin::caller::Caller;
use crate::admin::problem::Problem;
use crate::people::Permission;
use crate::registers::OnHold;

pub(super) async fn show(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
) -> Result<Page, Problem> {
    let Json(found) = holds::list(State(api)).await?;
    Ok(Page::new("Holds", Menu::Holds, body(&caller, &found.holds)).live())
}

fn body(caller: &Caller, held: &[OnHold]) -> Markup {
    html! {
        h1 { "Legal holds" }
        p.answer data-say {
            @if held.is_empty() { "Nobody is on hold." }
            @else { (parts::count(held.len() as u64, "user")) @if held.len() == 1 { " is" } @else { " are" } " on hold." }
        }
        p.soft { "A user on hold is deactivated and archived, never deleted. Workers read the holds right before each deletion." }
        p {
            (link(caller, Permission::Hold, "/holds/add", "Put users on hold")) " · "
            (link(caller, Permission::LiftHold, "/holds/lift", "Lift holds"))
        }
        @if !held.is_empty() {
            div.scroll tabindex="0" role="region" aria-label="Holds" {
                table {
                    thead { tr { th scope="col" { "User" } th scope="col" { "Why" } th scope="col" { "By" } th scope="col" { "Since" } } }
                    tbody {
                        @for one in held {
                            tr {
                                th scope="row" { (list::user(one.user_id)) }
                                td { @match &one.why { Some(why) => bdi { (why) }, None => span.soft { "Not recorded" } } }
                                td { bdi { (one.who) } }
                                td { (parts::time(one.at)) }
                            }
                        }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::admin::caller::SignIn;

    fn local() -> Caller {
        Caller::token(SignIn::Loopback, false)
    }

    #[test]
    fn a_hold_says_who_and_why_and_none_is_said_in_words() {
        assert!(
            body(&local(), &[])
                .into_string()
                .contains("Nobody is on hold.")
        );
        let held = OnHold {
            user_id: "3f1f0d4e-9a51-4b4b-8f6c-1f9a4f9b7c11".parse().unwrap(),
            who: "ada".to_owned(),
            why: Some("<case>".to_owned()),
            at: Timestamp::UNIX_EPOCH,
        };
        let text = body(&local(), &[held]).into_string();
        assert!(
            text.contains("1 user is on hold.") && text.contains("&lt;case&gt;"),
            "{text}"
        );
    }
}
