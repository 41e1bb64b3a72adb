//! How long the removal of access took: a bar for each range of time, which leads to its users, and a line at the target.

use maud::{Markup, html};

use super::{chart, parts};
use crate::job::BatchId;
use crate::operations::batches::{AccessRange, AccessTimes};
use crate::operations::times;

/// The parameters of the page of users that a bar leads to.
pub(super) const AFTER: &str = "removedAfterSeconds";
pub(super) const WITHIN: &str = "removedWithinSeconds";

/// The width of a bar with the gap behind it, and of the gap.
const STEP: u64 = 55;
const GAP: u64 = 5;
const TOP: u64 = 32;
const TALL: u64 = 110;
const BOTTOM: u64 = 18;

/// A range of time with its users.
struct Bar {
    users: u64,
    /// After which it begins, in seconds.
    after: u64,
    /// With which it ends; `None` for the last one.
    within: Option<u64>,
}

impl Bar {
    fn all(ranges: &[AccessRange]) -> Vec<Self> {
        let mut after = 0;
        let bars = ranges.iter().map(|range| {
            let bar = Self {
                users: range.users,
                after,
                within: range.up_to_seconds,
            };
            after = range.up_to_seconds.unwrap_or(after);
            bar
        });
        bars.collect()
    }

    /// `10 s to 30 s`.
    fn words(&self) -> String {
        match self.within {
            Some(within) if self.after == 0 => format!("within {}", times::whole_span(within)),
            Some(within) => format!(
                "{} to {}",
                times::whole_span(self.after),
                times::whole_span(within)
            ),
            None => format!("more than {}", times::whole_span(self.after)),
        }
    }

    /// The page of its users.
    fn path(&self, batch: &BatchId) -> String {
        let after = (self.after > 0).then(|| format!("{AFTER}={}", self.after));
        let within = self.within.map(|within| format!("{WITHIN}={within}"));
        let both: Vec<String> = [after, within].into_iter().flatten().collect();
        format!("/batches/{batch}/users?{}", both.join("&"))
    }
}

pub(super) fn show(batch: &BatchId, access: &AccessTimes) -> Markup {
    let bars = Bar::all(&access.histogram);
    let target = times::whole_span(access.target_seconds);
    html! {
        p {
            "Removed of " (parts::count(access.users, "user")) ": half within " (times::about(access.p50_seconds))
            ", 95 of 100 within " (times::about(access.p95_seconds)) ", longest " (times::about(access.longest_seconds))
            ". Within the target of " (target) ": " (parts::number(access.within_target)) " of " (parts::number(access.users)) "."
        }
        (drawing(batch, access, &bars, &target))
        (table(batch, &bars))
    }
}

/// The picture is one image for those who cannot see it; the links are above it, since an image has no parts.
fn drawing(batch: &BatchId, access: &AccessTimes, bars: &[Bar], target: &str) -> Markup {
    let most = bars.iter().map(|bar| bar.users).max().unwrap_or(0);
    let width = STEP * bars.len() as u64;
    let height = TOP + TALL + BOTTOM;
    let view = format!("0 0 {width} {height}");
    let title = format!(
        "Time from the request to the removal of access: {} of {} within the target of {target}; the table has the numbers",
        parts::number(access.within_target),
        parts::count(access.users, "user"),
    );
    html! {
        div.layers {
            svg.chart role="img" aria-label=(title) viewBox=(view) width=(width) height=(height) {
                title { (title) }
                @for (x, bar) in lefts().zip(bars) {
                    @let tall = chart::scaled(bar.users, most, TALL);
                    rect.d x=(x) y=(TOP + TALL - tall) width=(STEP - GAP) height=(tall) {}
                    @if bar.users > 0 { text x=(x + 25) y=(TOP + TALL - tall - 3) text-anchor="middle" { (parts::number(bar.users)) } }
                    text x=(x + 25) y=(height - 5) text-anchor="middle" {
                        @match bar.within { Some(within) => (times::whole_span(within)), None => "longer" }
                    }
                }
                @if let Some(x) = place_of(access.target_seconds, bars) {
                    line.target x1=(x) x2=(x) y1="14" y2=(TOP + TALL) {}
                    text x=(x) y="11" text-anchor="middle" { "target " (target) }
                }
            }
            svg viewBox=(view) width=(width) height=(height) {
                @for (x, bar) in lefts().zip(bars) {
                    @if bar.users > 0 {
                        a href=(bar.path(batch)) aria-label={ (parts::count(bar.users, "user")) ", " (bar.words()) } {
                            rect.link x=(x) y=(TOP) width=(STEP - GAP) height=(TALL + BOTTOM) {}
                        }
                    }
                }
            }
        }
    }
}

/// Where each bar begins.
fn lefts() -> impl Iterator<Item = u64> {
    (0..).map(|place| place * STEP)
}

/// Where the line of the target is: in proportion within the bar of its range.
fn place_of(target: u64, bars: &[Bar]) -> Option<u64> {
    let bars = lefts().zip(bars);
    let mut ended = bars.filter_map(|(x, bar)| Some((x, bar.after, bar.within?)));
    let (x, after, within) = ended.find(|(_, _, within)| target <= *within)?;
    let far = target.saturating_sub(after);
    Some(x + chart::scaled(far, within - after, STEP))
}

fn table(batch: &BatchId, bars: &[Bar]) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label="Time from the request to the removal of access" {
            table {
                caption { "Time from the request to the removal of access" }
                thead { tr { th scope="col" { "Time" } th.number scope="col" { "Users" } } }
                tbody {
                    @for bar in bars {
                        tr {
                            th scope="row" { (bar.words()) }
                            td.number {
                                @if bar.users > 0 { a href=(bar.path(batch)) { (parts::number(bar.users)) } } @else { "0" }
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

    fn shown(target_seconds: u64) -> String {
        let range = |up_to_seconds, users| AccessRange {
            up_to_seconds,
            users,
        };
        let access = AccessTimes {
            users: 1_207,
            p50_seconds: 20.0,
            p95_seconds: 25.0,
            longest_seconds: 900_000.0,
            last_at: Timestamp::UNIX_EPOCH,
            target_seconds,
            within_target: 1_204,
            histogram: vec![range(Some(10), 0), range(Some(30), 1_204), range(None, 3)],
        };
        show(&"b-1".parse().unwrap(), &access).into_string()
    }

    #[test]
    fn each_bar_and_its_row_lead_to_the_same_users() {
        let text = shown(20);
        for expected in [
            "href=\"/batches/b-1/users?removedAfterSeconds=10&amp;removedWithinSeconds=30\"",
            "href=\"/batches/b-1/users?removedAfterSeconds=30\"",
        ] {
            assert_eq!(text.matches(expected).count(), 2, "{expected}: {text}");
        }
        assert!(!text.contains("users?removedWithinSeconds=10"), "{text}");
        assert!(
            text.contains("aria-label=\"1,204 users, 10 s to 30 s\""),
            "{text}"
        );
    }

    #[test]
    fn the_line_is_at_the_target_and_the_title_has_the_numbers() {
        let text = shown(20);
        for expected in [
            "<line class=\"target\" x1=\"82\" x2=\"82\"",
            "target 20 s",
            "1,204 of 1,207 users within the target of 20 s",
        ] {
            assert!(text.contains(expected), "{expected}: {text}");
        }
        assert!(
            !shown(100).contains("<line"),
            "a range without an end has no place"
        );
    }

    #[test]
    fn no_link_is_in_what_a_reader_takes_as_one_image() {
        let text = shown(20);
        let image = text.split("role=\"img\"").nth(1).unwrap();
        let image = image.split("</svg>").next().unwrap();
        assert!(!image.contains("<a "), "{image}");
    }
}
