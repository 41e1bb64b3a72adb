//! The page of all batches.

use axum::extract::State;
use maud::{Markup, html};

use super::asked::Asked;
use super::page::{Menu, Page};
use super::{list, parts, state_bar};
use crate::admin::api::{Api, batches};
use crate::admin::problem::Problem;
use crate::operations::batches::{BatchPage, BatchState, ListedProgress};
use crate::printable;

pub(super) async fn show(State(api): State<Api>, asked: Asked) -> Result<Page, Problem> {
    let wanted = asked.read(&[])?;
    let found = batches::list_soon(&api, wanted).await?;
    let page = Page::new("Batches", Menu::Batches, body(&asked, &found)).live();
    let progress = found
        .batches
        .iter()
        .filter_map(|batch| batch.progress.as_ref());
    let as_of = progress.map(|progress| progress.as_of).min();
    Ok(Page { as_of, ..page })
}

fn body(asked: &Asked, found: &BatchPage) -> Markup {
    let states = [
        ["under-way", "Under way"],
        ["stuck", "Stuck"],
        ["finished", "Finished"],
    ];
    html! {
        h1 { "Batches" }
        (list::filters(&html! {
            (list::choice(asked, "state", "State", &states))
            (list::text(asked, "q", "Name begins with"))
        }))
        @if found.pause_unknown {
            p.fault { "Not known: which batches are paused. So none is shown as stuck." }
        }
        @if found.batches.is_empty() {
            (list::none(asked, found.next_cursor.is_some(), "No batch yet. `offboarder submit users.csv --batch-id b-1` makes one."))
        } @else { (table(&found.batches)) }
        (list::next(asked, found.next_cursor.as_deref()))
        p.soft { "Owner: who asked for the first user of the batch, once a worker has taken that user." }
        (state_bar::legend())
        p.soft { "Stuck: for 15 minutes nobody was finished or lost access, though somebody does not wait for a time." }
    }
}

fn table(batches: &[ListedProgress]) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label="Batches" {
            table {
                caption { "Newest first" }
                thead { tr {
                    th scope="col" { "Batch" } th scope="col" { "Owner" } th scope="col" { "Begun" } th scope="col" { "State" } th.number scope="col" { "Users" }
                    th scope="col" { "Last steps" } th.number scope="col" { "Finished" } th.number scope="col" { "Left" } th.number scope="col" { "With access" }
                    th.number scope="col" { "Given up" }
                } }
                tbody { @for batch in batches { (row(batch)) } }
            }
        }
    }
}

fn row(listed: &ListedProgress) -> Markup {
    let batch = &listed.batch;
    html! {
        tr {
            th scope="row" { a href={ "/batches/" (batch.batch_id) } { (batch.batch_id) } }
            td { @match &listed.requested_by { Some(who) => bdi { (printable::line(who)) }, None => span.soft { "Not known" } } }
            td { (parts::time(batch.begun_at)) }
            @match &listed.progress {
                Some(progress) => {
                    td {
                        @match progress.state {
                            BatchState::UnderWay => "Under way",
                            BatchState::Finished => "Finished",
                            BatchState::Stuck => span.fault { "Stuck" },
                        }
                        @if let Some(pause) = &listed.pause { ", paused by " bdi { (pause.who) } }
                    }
                    td.number { (parts::number(batch.users)) }
                    td { (state_bar::in_a_row(progress.not_begun, &progress.states)) }
                    td.number { (parts::number(progress.finished)) }
                    td.number { (parts::number(progress.left)) }
                    td.number { (parts::number(progress.still_have_access)) }
                    td.number { (parts::number(progress.dead_letters)) }
                }
                None => {
                    td { span.soft { "Not read yet, or too many users for a list: open it" } }
                    td.number { (parts::number(batch.users)) }
                    td colspan="5" {}
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use jiff::Timestamp;

    use super::*;
    use crate::machine::StateName;
    use crate::operations::batches::ShortProgress;
    use crate::ports::batches::Listed;

    fn listed(progress: Option<ShortProgress>) -> ListedProgress {
        ListedProgress {
            batch: Listed {
                batch_id: "b-1".parse().unwrap(),
                begun_at: Timestamp::UNIX_EPOCH,
                users: 12_345,
            },
            requested_by: Some("hr\u{202e}<b>".to_owned()),
            progress,
            pause: None,
        }
    }

    fn text(batches: Vec<ListedProgress>, pause_unknown: bool, query: &str) -> String {
        let found = BatchPage {
            batches,
            next_cursor: None,
            pause_unknown,
        };
        body(&Asked::of("/batches", query), &found).into_string()
    }

    #[test]
    fn what_was_not_read_is_not_zero() {
        let progress = ShortProgress {
            as_of: Timestamp::UNIX_EPOCH,
            not_begun: 12_338,
            states: BTreeMap::from([(StateName::Received, 7)]),
            finished: 0,
            dead_letters: 0,
            cancelled: 0,
            unreadable: 0,
            left: 12_345,
            still_have_access: 7,
            state: BatchState::Stuck,
        };
        let known = text(vec![listed(Some(progress))], false, "");
        assert!(
            known.contains("Stuck</span>") && known.contains("12,345"),
            "{known}"
        );
        assert!(known.contains("R 12,345"), "{known}");
        assert!(known.contains("<bdi>hr\\u{202e}&lt;b&gt;</bdi>"), "{known}");
        let unread = text(vec![listed(None)], true, "");
        assert!(unread.contains("too many users"), "{unread}");
        assert!(!unread.contains(">0<"), "{unread}");
        assert!(
            unread.contains("Not known: which batches are paused"),
            "{unread}"
        );
    }

    #[test]
    fn no_batch_and_no_match_are_two_texts() {
        assert!(text(Vec::new(), false, "").contains("No batch yet."));
        assert!(text(Vec::new(), false, "q=x").contains("None matches."));
    }
}
