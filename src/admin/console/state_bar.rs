//! The users of a batch by last step, as the parts of one bar.

use std::collections::BTreeMap;

use maud::{Markup, html};

use super::chart::{self, Slice};
use super::{parts, words};
use crate::machine::StateName;

/// The parts, in the order of the steps.
pub(super) fn slices(not_begun: u64, states: &BTreeMap<StateName, u64>) -> Vec<Slice> {
    let begun = states.iter().map(|(state, count)| Slice {
        words: words::state(*state),
        class: words::class(*state),
        count: *count,
    });
    let not_begun = Slice {
        words: html! { span.state data-sign="R" { "No worker has taken the user" } },
        class: "r",
        count: not_begun,
    };
    [not_begun].into_iter().chain(begun).collect()
}

/// A bar for a row of a table, with its numbers as text: `R 3 · X 1,204`.
pub(super) fn in_a_row(not_begun: u64, states: &BTreeMap<StateName, u64>) -> Markup {
    let slices = slices(not_begun, states);
    let mut signs: BTreeMap<&str, u64> = BTreeMap::new();
    for slice in slices.iter().filter(|slice| slice.count > 0) {
        *signs.entry(slice.class).or_default() += slice.count;
    }
    let order = ["r", "q", "d", "a", "x", "o"];
    let numbers = order.into_iter().filter_map(|class| {
        let count = signs.get(class)?;
        Some(format!(
            "{} {}",
            class.to_uppercase(),
            parts::number(*count)
        ))
    });
    let numbers: Vec<String> = numbers.collect();
    html! {
        (chart::small(&slices))
        br;
        span.soft { (numbers.join(" · ")) }
    }
}

/// What the signs mean.
pub(super) fn legend() -> Markup {
    let all = [
        StateName::Received,
        StateName::QueuesCleared,
        StateName::Deactivated,
        StateName::Archived,
        StateName::Deleted,
        StateName::DeactivatedOnly,
    ];
    html! { p.soft { "Last steps: " @for state in all { (words::state(state)) " " } "R has those whom no worker has taken, too." } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_beside_the_bar_and_who_is_not_taken_counts_as_waiting_to_begin() {
        let states = BTreeMap::from([(StateName::Received, 1), (StateName::Deleted, 1_204)]);
        let text = in_a_row(2, &states).into_string();
        assert!(text.contains("R 3 · X 1,204"), "{text}");
        assert!(
            text.contains("<svg") && text.contains("aria-hidden"),
            "{text}"
        );
        for sign in ["R", "Q", "D", "A", "X", "O"] {
            assert!(
                legend()
                    .into_string()
                    .contains(&format!("data-sign=\"{sign}\""))
            );
        }
    }
}
