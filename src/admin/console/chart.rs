//! Charts as SVG, each next to a table with the same numbers.

use maud::{Markup, html};

use super::parts;

/// A part of a whole: its words, its number, and the class of its colour.
pub(super) struct Slice {
    pub(super) words: Markup,
    pub(super) class: &'static str,
    pub(super) count: u64,
}

const WIDTH: u64 = 720;
const HEIGHT: u64 = 28;
const ROOM_FOR_LETTER: u64 = 16;

/// One bar of all parts, in their order.
pub(super) fn stacked(title: &str, slices: &[Slice]) -> Markup {
    let total: u64 = slices.iter().map(|slice| slice.count).sum();
    let mut left = 0;
    let mut rects = Vec::new();
    for slice in slices.iter().filter(|slice| slice.count > 0) {
        let width = scaled(slice.count, total, WIDTH).max(1);
        rects.push((left, width, slice.class));
        left += width;
    }
    html! {
        svg.chart role="img" aria-label=(title) viewBox={ "0 0 " (left.max(WIDTH)) " " (HEIGHT) } width=(WIDTH) height=(HEIGHT) {
            title { (title) }
            (patterns())
            @for (x, width, class) in &rects {
                rect class=(class) x=(x) y="0" width=(width) height=(HEIGHT) {}
                @if let Some(pattern) = pattern(class) { rect fill=(pattern) x=(x) y="0" width=(width) height=(HEIGHT) {} }
                @if *width >= ROOM_FOR_LETTER {
                    text.sign.(class) x=(x + width / 2) y="19" text-anchor="middle" aria-hidden="true" { (class.to_uppercase()) }
                }
            }
        }
    }
}

/// The same for a row of a table, which has the numbers as text: no title, no signs and no patterns.
pub(super) fn small(slices: &[Slice]) -> Markup {
    const LONG: u64 = 120;

    let total: u64 = slices.iter().map(|slice| slice.count).sum();
    let mut left = 0;
    let parts = slices.iter().map(|slice| {
        let width = scaled(slice.count, total, LONG);
        left += width;
        (left - width, width, slice.class)
    });
    let parts: Vec<_> = parts.filter(|(_, width, _)| *width > 0).collect();
    html! {
        svg.chart aria-hidden="true" viewBox={ "0 0 " (left.max(LONG)) " 12" } width=(LONG) height="12" {
            @for (x, width, class) in &parts { rect class=(class) x=(x) y="0" width=(width) height="12" {} }
        }
    }
}

/// What distinguishes parts where colours do not.
fn patterns() -> Markup {
    html! {
        defs {
            pattern #hatched patternUnits="userSpaceOnUse" width="6" height="6" { path d="M0 6 L6 0" stroke="#000" stroke-opacity=".35" {} }
            pattern #dotted patternUnits="userSpaceOnUse" width="6" height="6" { circle cx="2" cy="2" r="1" fill="#000" fill-opacity=".4" {} }
            pattern #lined patternUnits="userSpaceOnUse" width="6" height="6" { path d="M0 3 L6 3" stroke="#fff" stroke-opacity=".35" {} }
        }
    }
}

fn pattern(class: &str) -> Option<&'static str> {
    match class {
        "q" | "dead" => Some("url(#hatched)"),
        "o" => Some("url(#dotted)"),
        "a" => Some("url(#lined)"),
        _ => None,
    }
}

const TALL: u64 = 80;
const TOP: u64 = 14;
const COLUMN: usize = 6;
/// There is room for the words above the columns.
const NARROWEST: usize = 360;

/// What is drawn over the columns of a chart.
#[derive(Default)]
pub(super) struct Over<'a> {
    /// For each column, how much of it went wrong.
    pub(super) wrong: &'a [Option<u64>],
    /// Columns at which something happened, with what it was.
    pub(super) ticks: &'a [(usize, String)],
}

/// Columns over time, the oldest at the left. `most` are the words for the highest one. What is unknown has a mark of its own, since
/// it is not zero.
pub(super) fn columns(title: &str, most: &str, counts: &[Option<u64>], over: &Over<'_>) -> Markup {
    let highest = counts.iter().flatten().copied().max().unwrap_or(0);
    let width = (COLUMN * counts.len()).max(NARROWEST);
    html! {
        svg.chart role="img" aria-label=(title) viewBox={ "0 0 " (width) " " (TALL + TOP) } width=(width) height=(TALL + TOP) {
            title { (title) }
            @if !over.wrong.is_empty() { (patterns()) }
            text x="2" y="11" { "most: " (most) }
            @for (place, count) in counts.iter().enumerate() {
                @match count {
                    Some(count) => {
                        @let tall = scaled(*count, highest, TALL);
                        rect.d x=(COLUMN * place) y=(TALL - tall + TOP) width="5" height=(tall) {}
                    }
                    None => rect.c x=(COLUMN * place) y=(TALL + TOP - 2) width="5" height="2" {},
                }
                @if let Some(Some(wrong)) = over.wrong.get(place) {
                    @let tall = scaled(*wrong, highest, TALL);
                    rect.dead x=(COLUMN * place) y=(TALL - tall + TOP) width="5" height=(tall) {}
                    rect fill="url(#hatched)" x=(COLUMN * place) y=(TALL - tall + TOP) width="5" height=(tall) {}
                }
            }
            @for (place, words) in over.ticks { (tick(*place, words)) }
        }
    }
}

/// A mark from the top to the bottom.
fn tick(place: usize, words: &str) -> Markup {
    let x = COLUMN * place + 2;
    html! {
        g.tick {
            title { (words) }
            path d={ "M" (x) " " (TOP) " V" (TALL + TOP) } {}
            path d={ "M" (x) " " (TOP) " l-4 -8 h8 z" } {}
        }
    }
}

/// Columns of counts; the words for the highest one are its number.
pub(super) fn counted(title: &str, counts: &[Option<u64>], over: &Over<'_>) -> Markup {
    let highest = counts.iter().flatten().copied().max().unwrap_or(0);
    columns(title, &parts::number(highest), counts, over)
}

/// `count` of `most`, as a length. What is not nothing is seen.
pub(super) fn scaled(count: u64, most: u64, length: u64) -> u64 {
    if count == 0 || most == 0 {
        return 0;
    }
    let scaled = u128::from(count) * u128::from(length) / u128::from(most);
    u64::try_from(scaled).unwrap_or(length).clamp(1, length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_is_in_proportion_and_a_few_of_many_are_seen() {
        assert_eq!(scaled(0, 10, 200), 0);
        assert_eq!(scaled(5, 10, 200), 100);
        assert_eq!(scaled(1, 1_000_000, 200), 1);
        assert_eq!(scaled(u64::MAX, u64::MAX, 200), 200);
        assert_eq!(scaled(3, 0, 200), 0);
    }

    #[test]
    fn a_chart_has_a_title_and_no_style_that_the_policy_forbids() {
        let slices = [Slice {
            words: html! { "Deleted" },
            class: "x",
            count: 3,
        }];
        for text in [
            stacked("3 <users>", &slices).into_string(),
            counted("a minute", &[Some(3), None, Some(0)], &Over::default()).into_string(),
        ] {
            assert!(
                text.contains("role=\"img\"") && text.contains("<title>"),
                "{text}"
            );
            assert!(!text.contains("style="), "{text}");
        }
        let over = Over {
            wrong: &[Some(1), None],
            ticks: &[(1, "paused by <ada>".to_owned())],
        };
        let text = counted("a minute", &[Some(3), None], &over).into_string();
        for expected in [
            "class=\"c\"",
            "class=\"dead\"",
            "url(#hatched)",
            "paused by &lt;ada&gt;</title>",
        ] {
            assert!(text.contains(expected), "{expected}: {text}");
        }
    }

    #[test]
    fn a_part_has_its_letter_where_there_is_room_and_a_pattern_where_colours_are_alike() {
        let slices = ["q", "x"].map(|class| Slice {
            words: html! {},
            class,
            count: if class == "q" { 1000 } else { 1 },
        });
        let text = stacked("users", &slices).into_string();
        assert!(
            text.contains("url(#hatched)") && text.contains(">Q</text>"),
            "{text}"
        );
        assert!(!text.contains(">X</text>"), "{text}");
    }
}
