//! What happened to a batch over time: charts with the changes of operators as ticks, and their table.

use maud::{Markup, html};

use super::chart::{self, Over};
use super::parts;
use crate::operations::batches::BatchHistory;
use crate::operations::times;
use crate::printable;
use crate::registers::audit_log::AuditEntry;

pub(super) fn show(history: &BatchHistory) -> Markup {
    let no_entries = Vec::new();
    let entries = history.audit_log.known.as_ref().unwrap_or(&no_entries);
    let ticks = ticks(history, entries);
    let over = Over {
        ticks: &ticks,
        ..Over::default()
    };
    let length = times::whole_span(history.period_seconds);
    let periods = history.periods.iter();
    let removed: Vec<_> = periods
        .clone()
        .map(|one| Some(one.access_removed))
        .collect();
    let finished: Vec<_> = periods.clone().map(|one| Some(one.finished)).collect();
    html! {
        p {
            "Each column is a period of " (length) "; at most the last 48 hours. "
            @if !ticks.is_empty() { (parts::count(entries.len() as u64, "change")) " by operators: the marks with a triangle." }
        }
        @if let Some(why) = &history.audit_log.unknown { (parts::unknown("what operators changed", why.code)) }
        p { "Access removed" }
        (chart::counted(&format!("Users whose access was removed, in each {length}; the table has the numbers"), &removed, &over))
        p { "Time within which the access of 95 of 100 users was removed" }
        (percentiles(history, &length, &over))
        p { "Users finished" }
        (chart::counted(&format!("Users finished, in each {length}; the table has the numbers"), &finished, &over))
        (table(history, entries))
    }
}

fn percentiles(history: &BatchHistory, length: &str, over: &Over<'_>) -> Markup {
    let all = history.periods.iter();
    let all = all.map(|period| period.access_removed_p95_seconds);
    let highest = all.clone().flatten().fold(0.0, f64::max);
    let words = times::about(highest);
    // A chart is of whole milliseconds; a period without any removal has no column, and is not unknown.
    let columns: Vec<_> = all.map(|p95| Some(p95.map_or(0, milliseconds))).collect();
    let title = format!(
        "Time within which the access of 95 of 100 users was removed, in each {length}: at most {words}; the table has the numbers"
    );
    chart::columns(&title, &words, &columns, over)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a time of some days, never negative"
)]
fn milliseconds(seconds: f64) -> u64 {
    (seconds * 1000.0).round() as u64
}

/// The changes with the places of their periods; those of one period are one tick.
fn ticks(history: &BatchHistory, entries: &[AuditEntry]) -> Vec<(usize, String)> {
    let mut ticks: Vec<(usize, String)> = Vec::new();
    for (place, words) in entries
        .iter()
        .rev()
        .map(|entry| (place(history, entry), words(entry)))
    {
        match ticks.last_mut() {
            Some((last, all)) if *last == place => *all = format!("{all}; {words}"),
            _ => ticks.push((place, words)),
        }
    }
    ticks
}

/// The period of an entry. The one that was written before the first user was added is in the first period.
fn place(history: &BatchHistory, entry: &AuditEntry) -> usize {
    let begun = history
        .periods
        .iter()
        .take_while(|period| period.at <= entry.at);
    begun.count().saturating_sub(1)
}

/// `batch pause by ada: a wrong list`.
fn words(entry: &AuditEntry) -> String {
    let why = entry.why.as_deref().map(|why| format!(": {why}"));
    let text = format!("{} by {}{}", entry.what, entry.who, why.unwrap_or_default());
    printable::line(&text).into_owned()
}

fn table(history: &BatchHistory, entries: &[AuditEntry]) -> Markup {
    let rows = history
        .periods
        .iter()
        .enumerate()
        .rev()
        .map(|(at, period)| {
            let own = entries.iter().filter(|entry| place(history, entry) == at);
            (period, own.collect::<Vec<_>>())
        });
    let rows: Vec<_> = rows
        .filter(|(period, own)| period.finished + period.access_removed > 0 || !own.is_empty())
        .collect();
    html! {
        details #over-time {
            summary { "Show as a table" }
            div.scroll tabindex="0" role="region" aria-label="Periods of the batch" {
                table {
                    caption { "Newest first" }
                    thead { tr {
                        th scope="col" { "From" } th.number scope="col" { "Access removed" } th.number scope="col" { "95 of 100 within" }
                        th.number scope="col" { "Finished" } th scope="col" { "Changes by operators" }
                    } }
                    tbody {
                        @for (period, own) in &rows {
                            tr {
                                th scope="row" { (parts::time(period.at)) }
                                td.number { (parts::number(period.access_removed)) }
                                td.number { @match period.access_removed_p95_seconds { Some(p95) => (times::about(p95)), None => "–" } }
                                td.number { (parts::number(period.finished)) }
                                td { @for entry in own { p { (parts::time(entry.at)) " " bdi { (words(entry)) } } } }
                            }
                        }
                    }
                }
            }
            p.soft { "Periods without any are left out." }
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use serde_json::Value;
    use uuid::Uuid;

    use super::*;
    use crate::operations::batches::PeriodOfBatch;
    use crate::operations::part::{Part, WhyUnknown};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn entry(second: i64, what: &str, who: &str) -> AuditEntry {
        AuditEntry {
            id: Uuid::nil(),
            at: at(second),
            who: who.to_owned(),
            what: what.to_owned(),
            why: Some("<b>a wrong list".to_owned()),
            count: 1,
            details: Value::Null,
        }
    }

    fn shown(read: Result<Vec<AuditEntry>, WhyUnknown>) -> String {
        let period = |second, access_removed, p95| PeriodOfBatch {
            at: at(second),
            finished: 0,
            access_removed,
            access_removed_p95_seconds: p95,
        };
        show(&BatchHistory {
            batch_id: "b".parse().unwrap(),
            as_of: at(300),
            unreadable: 0,
            period_seconds: 60,
            periods: vec![
                period(60, 1_204, Some(131.0)),
                period(120, 0, None),
                period(180, 0, None),
            ],
            audit_log: Part::of(read, None, at(300)),
        })
        .into_string()
    }

    #[test]
    fn changes_are_ticks_and_rows_and_those_of_one_period_are_one_tick() {
        let entries = vec![
            entry(130, "batch resume", "bob"),
            entry(125, "batch pause", "ada"),
            entry(2, "submit", "eve"),
        ];
        let text = shown(Ok(entries));
        let expected = "<title>batch pause by ada: &lt;b&gt;a wrong list; batch resume by bob";
        assert_eq!(text.matches(expected).count(), 3, "{text}");
        assert_eq!(text.matches("<g class=\"tick\">").count(), 6, "{text}");
        assert!(text.contains("3 changes by operators"), "{text}");
        let rows = text.split("<tbody>").nth(1).unwrap();
        for expected in ["1,204", "2 min 11 s", "batch pause by ada", "submit by eve"] {
            assert!(rows.contains(expected), "{expected}: {rows}");
        }
        assert!(!rows.contains("00:03:00"), "a period without any: {rows}");
    }

    #[test]
    fn changes_that_cannot_be_read_are_unknown_and_not_none() {
        let text = shown(Err(WhyUnknown::new("archive_unreachable", "S3 is away")));
        assert!(text.contains("Not known: what operators changed"), "{text}");
        assert!(
            !shown(Ok(Vec::new())).contains("by operators:"),
            "none is no mark"
        );
    }
}
