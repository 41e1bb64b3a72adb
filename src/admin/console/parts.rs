//! Pieces that several pages have: times, numbers, and what is unknown.

use jiff::Timestamp;
use maud::{Markup, html};

use crate::operations::part::Part;
use crate::operations::runbook;
use crate::operations::times;

/// `1,204`.
pub(super) fn number(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 user`, `2,000 users`.
pub(super) fn count(number: u64, word: &str) -> String {
    let many = if number == 1 { "" } else { "s" };
    format!("{} {word}{many}", self::number(number))
}

/// A moment, to the second.
pub(super) fn time(at: Timestamp) -> Markup {
    html! { time datetime=(format!("{at:.0}")) { (at.strftime("%Y-%m-%d %H:%M:%S")) " UTC" } }
}

/// A moment that may be missing.
pub(super) fn time_or(at: Option<Timestamp>, missing: &str) -> Markup {
    html! { @match at { Some(at) => (time(at)), None => span.soft { (missing) } } }
}

/// How long ago, in whole minutes after the first one: a page that is current does not change each second.
pub(super) fn age(at: Timestamp, now: Timestamp) -> String {
    let seconds = now.duration_since(at).as_secs().unsigned_abs();
    match seconds {
        0..60 => "less than a minute".to_owned(),
        _ => times::whole_span(seconds / 60 * 60),
    }
}

/// A stable word, with the way to its section of the runbook if there is one.
pub(super) fn code(word: &str) -> Markup {
    html! {
        @if runbook::explain(word).is_empty() { code { (word) } }
        @else { a href={ "/help#" (word) } { code { (word) } } }
    }
}

/// The way to the section of the runbook.
pub(super) fn what_to_do(word: &str) -> Markup {
    html! {
        @if !runbook::explain(word).is_empty() { a href={ "/help#" (word) } { "What to do" } }
    }
}

/// That something could not be read. It is never shown as if there were nothing.
pub(super) fn unknown(text: &str, word: &str) -> Markup {
    html! { p.fault { "Not known: " (text) " [" (code(word)) "]. " (what_to_do(word)) } }
}

/// A part of a document: what is known, and if it is old, since when.
pub(super) fn part<T>(part: &Part<T>, show: impl FnOnce(&T) -> Markup) -> Markup {
    html! {
        @if let Some(why) = &part.unknown {
            (unknown(&why.text, why.code))
            @if let (Some(_), Some(at)) = (&part.known, part.as_of) {
                p.fault { "What follows is old: it was read at " (time(at)) "." }
            }
        }
        @if let Some(known) = &part.known { (show(known)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operations::part::WhyUnknown;

    #[test]
    fn numbers_have_commas() {
        for (given, shown) in [
            (0, "0"),
            (999, "999"),
            (1_204, "1,204"),
            (1_000_000, "1,000,000"),
        ] {
            assert_eq!(number(given), shown);
        }
        assert_eq!(count(1, "user"), "1 user");
        assert_eq!(count(2_000, "user"), "2,000 users");
    }

    #[test]
    fn what_is_unknown_says_so_and_what_is_old_says_since_when() {
        let why = || Some(WhyUnknown::new("checkpoints_unreachable", "Redis <away>"));
        let show = |known: &u8| html! { p { (known) " users" } };
        let never = Part {
            as_of: None,
            known: None,
            unknown: why(),
        };
        let text = part(&never, show).into_string();
        assert!(text.contains("Not known: Redis &lt;away&gt;"), "{text}");
        assert!(text.contains("/help#checkpoints_unreachable"), "{text}");
        assert!(!text.contains("users") && !text.contains("old"), "{text}");

        let old = Part {
            as_of: Timestamp::from_second(0).ok(),
            known: Some(12),
            unknown: why(),
        };
        let text = part(&old, show).into_string();
        assert!(text.contains("12 users"), "{text}");
        assert!(text.contains("old: it was read at <time"), "{text}");
        let known = Part {
            unknown: None,
            ..old
        };
        assert_eq!(part(&known, show).into_string(), "<p>12 users</p>");
    }

    #[test]
    fn an_age_changes_once_a_minute() {
        let at = |second| Timestamp::from_second(second).unwrap();
        assert_eq!(age(at(0), at(59)), "less than a minute");
        assert_eq!(age(at(0), at(119)), age(at(0), at(60)));
        assert_eq!(age(at(0), at(3_899)), "1 h 4 min");
    }
}
