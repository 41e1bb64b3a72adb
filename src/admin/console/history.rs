//! What all workers did in the last 48 hours: charts, and their table.

use axum::Json;
use axum::extract::State;
use maud::{Markup, html};

use super::asked::Asked;
use super::page::{Menu, Page};
use super::{chart, parts};
use crate::admin::api::{Api, overview};
use crate::admin::problem::Problem;
use crate::admin::read::Query;
use crate::operations::series::{MinuteOfFleet, Series};

/// Minutes of one column.
const MINUTES: usize = 30;

pub(super) async fn show(State(api): State<Api>) -> Result<Page, Problem> {
    let wanted = Asked::of("", "since=48h").read(&[])?;
    let Json(series) = overview::minutes(State(api), Query(wanted)).await?;
    Ok(Page::new("Last 48 hours", Menu::Workers, body(&series)))
}

fn body(series: &Series) -> Markup {
    let spans: Vec<MinuteOfFleet> = series.minutes.chunks(MINUTES).filter_map(sum).collect();
    let begun = series.minutes.first().map(|minute| minute.at);
    html! {
        h1 { "Last 48 hours" }
        p {
            "What all workers did, by half an hour, from " (parts::time_or(begun, "a time that is not known")) " to " (parts::time(series.as_of))
            ". " span.soft { "This page does not keep itself current. A dash in the place of a column: no worker wrote its counts, or they were lost." }
        }
        @if spans.iter().all(|span| span.api_calls.is_none()) { p { "Not known: no worker wrote its counts in this time." } }
        @else {
            h2 { "Users finished" }
            (columns("Users finished in each half hour", &spans, |span| span.finished))
            h2 { "Access removed" }
            (columns("Users whose access was removed in each half hour", &spans, |span| span.access_removed))
            h2 { "Calls to CXone" }
            (calls(&spans))
            (table(&spans))
        }
    }
}

/// The counts of a span. What is known of a part of it counts.
fn sum(minutes: &[MinuteOfFleet]) -> Option<MinuteOfFleet> {
    let of = |count: fn(&MinuteOfFleet) -> Option<u64>| {
        minutes
            .iter()
            .filter_map(count)
            .reduce(|sum, one| sum + one)
    };
    Some(MinuteOfFleet {
        at: minutes.first()?.at,
        finished: of(|minute| minute.finished),
        access_removed: of(|minute| minute.access_removed),
        api_calls: of(|minute| minute.api_calls),
        throttled: of(|minute| minute.throttled),
    })
}

fn columns(title: &str, spans: &[MinuteOfFleet], of: fn(&MinuteOfFleet) -> Option<u64>) -> Markup {
    let counts: Vec<Option<u64>> = spans.iter().map(of).collect();
    let total: u64 = counts.iter().flatten().sum();
    let title = format!(
        "{title}: {} in all; the table has the numbers",
        parts::number(total)
    );
    chart::counted(&title, &counts, &chart::Over::default())
}

fn calls(spans: &[MinuteOfFleet]) -> Markup {
    let counts: Vec<Option<u64>> = spans.iter().map(|span| span.api_calls).collect();
    let throttled: Vec<Option<u64>> = spans.iter().map(|span| span.throttled).collect();
    let refused: u64 = throttled.iter().flatten().sum();
    let title = format!(
        "Calls to CXone in each half hour, {} of them throttled; the table has the numbers",
        parts::number(refused)
    );
    html! {
        (chart::counted(&title, &counts, &chart::Over { wrong: &throttled, ..chart::Over::default() }))
        p {
            @if refused == 0 { "None was throttled (429)." }
            @else { span.fault { (parts::count(refused, "call")) " throttled (429): the hatched part of a column." } }
        }
    }
}

fn table(spans: &[MinuteOfFleet]) -> Markup {
    let number = |count: Option<u64>| count.map_or_else(|| "Not known".to_owned(), parts::number);
    html! {
        details #spans {
            summary { "Show as a table" }
            div.scroll tabindex="0" role="region" aria-label="Half hours" {
                table {
                    caption { "Newest first" }
                    thead { tr {
                        th scope="col" { "Half hour from" } th.number scope="col" { "Finished" } th.number scope="col" { "Access removed" }
                        th.number scope="col" { "Calls" } th.number scope="col" { "Throttled" }
                    } }
                    tbody {
                        @for span in spans.iter().rev() {
                            tr {
                                th scope="row" { (parts::time(span.at)) }
                                @for count in [span.finished, span.access_removed, span.api_calls, span.throttled] { td.number { (number(count)) } }
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
    use jiff::{SignedDuration, Timestamp};

    use super::*;

    fn minute(number: i64, calls: Option<u64>, throttled: Option<u64>) -> MinuteOfFleet {
        MinuteOfFleet {
            at: Timestamp::UNIX_EPOCH + SignedDuration::from_mins(number),
            finished: calls.map(|calls| calls / 10),
            access_removed: calls.map(|calls| calls / 5),
            api_calls: calls,
            throttled,
        }
    }

    #[test]
    fn a_span_sums_what_is_known_and_one_of_which_nothing_is_known_is_not_zero() {
        let minutes = [minute(0, Some(100), Some(2)), minute(1, None, None)];
        let known = sum(&minutes).unwrap();
        assert_eq!(
            (known.at, known.api_calls, known.throttled),
            (minutes[0].at, Some(100), Some(2))
        );
        assert_eq!(sum(&minutes[1..]).unwrap().finished, None);
        assert_eq!(sum(&[]), None);
    }

    #[test]
    fn the_page_says_what_was_throttled_and_what_is_not_known() {
        let mut minutes: Vec<_> = (0..30).map(|number| minute(number, None, None)).collect();
        let unknown = |minutes: &[MinuteOfFleet]| {
            let series = Series {
                as_of: Timestamp::UNIX_EPOCH,
                minutes: minutes.to_vec(),
            };
            body(&series).into_string()
        };
        assert!(unknown(&minutes).contains("no worker wrote its counts in this time"));

        minutes.extend((30..60).map(|number| minute(number, Some(50), Some(1))));
        let text = unknown(&minutes);
        for expected in [
            "Users finished in each half hour: 150 in all",
            "30 of them throttled",
            "<td class=\"number\">1,500</td>",
            "<td class=\"number\">Not known</td>",
        ] {
            assert!(text.contains(expected), "{expected}: {text}");
        }
    }
}
