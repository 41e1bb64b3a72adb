//! The page of what a text names.

use axum::extract::State;
use axum::http::StatusCode;
use maud::{Markup, html};

use super::asked::Asked;
use super::page::Page;
use super::{audit_log, list, parts, words};
use crate::admin::api::{Api, limits};
use crate::admin::problem::Problem;
use crate::admin::read::Query;
use crate::operations::find::Found;

pub(super) async fn show(State(api): State<Api>, asked: Asked) -> Result<Page, Problem> {
    let text = asked.get("q").trim().to_owned();
    let found = if text.is_empty() {
        None
    } else {
        let wanted = asked.read(&[("q", &text)])?;
        Some(limits::search(State(api), Query(wanted)).await?.0)
    };
    Ok(Page {
        status: StatusCode::OK,
        title: "Find".to_owned(),
        menu: None,
        is_live: false,
        is_fast: false,
        is_unfinished: false,
        as_of: None,
        body: body(&text, found.as_ref()),
    })
}

fn body(text: &str, found: Option<&Found>) -> Markup {
    html! {
        h1 { "Find" }
        @match found {
            None => p { "Type a user ID or at least its first 4 digits, the beginning of the name of a batch, or the ID of a dead letter or of an entry of the audit log." },
            Some(found) => (shown(text, found)),
        }
    }
}

fn shown(text: &str, found: &Found) -> Markup {
    let is_empty = found.users.is_empty()
        && found.batches.is_empty()
        && found.dead_letters.is_empty()
        && found.audit_log.is_empty();
    html! {
        @if is_empty { p.answer { "Nothing found for “" bdi { (text) } "”." } }
        @for gap in &found.not_searched {
            p.fault { "Not searched: " (gap.what) ". " (gap.why.text) " [" (parts::code(gap.why.code)) "]" }
        }
        @if !found.users.is_empty() {
            h2 { "Users" }
            ul { @for one in &found.users { li { (list::user(one.user_id)) @if let Some(state) = one.state { " " (words::state(state)) } } } }
        }
        @if !found.batches.is_empty() {
            h2 { "Batches" }
            ul { @for batch in &found.batches { li { a href={ "/batches/" (batch.batch_id) } { (batch.batch_id) } ", " (parts::count(batch.users, "user")) } } }
        }
        @if !found.dead_letters.is_empty() {
            h2 { "Dead letters" }
            ul { @for one in &found.dead_letters { li { a.id href={ "/dead-letters/" (one.id) } { (one.id) } " " (parts::code(one.reason.as_str())) } } }
        }
        @if !found.audit_log.is_empty() { h2 { "Audit log" } (audit_log::table(&found.audit_log)) }
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::operations::find::NotSearched;
    use crate::operations::part::WhyUnknown;

    #[test]
    fn what_was_not_searched_is_said_and_the_text_is_only_text() {
        let found = Found {
            as_of: Timestamp::UNIX_EPOCH,
            users: Vec::new(),
            batches: Vec::new(),
            dead_letters: Vec::new(),
            audit_log: Vec::new(),
            not_searched: vec![NotSearched {
                what: "dead letters",
                why: WhyUnknown::new("queue_unreachable", "RabbitMQ is away"),
            }],
        };
        let text = body("<b>", Some(&found)).into_string();
        assert!(
            text.contains("Nothing found for “<bdi>&lt;b&gt;</bdi>”"),
            "{text}"
        );
        assert!(
            text.contains("Not searched: dead letters. RabbitMQ is away"),
            "{text}"
        );
        assert!(body("", None).into_string().contains("Type a user ID"));
    }
}
