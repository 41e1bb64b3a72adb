//! Trials register themselves where they are written, so that no list can forget one.

use std::cmp::Reverse;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::table;

/// A sentence about the program, and the function that proves it at a place of its own.
pub(crate) struct Trial {
    pub(crate) name: &'static str,
    pub(crate) run: fn(usize),
    /// How long it takes, roughly. Those that take longest start first, so that none runs at the
    /// end while all other cores are idle.
    pub(crate) seconds: u32,
    /// It runs only with `--include-ignored`, and counts as ignored otherwise.
    pub(crate) on_request: bool,
}

inventory::collect!(Trial);

/// Registers a trial: `trial!("sentence", function);`, with `seconds = 60` if it takes a minute, or `on_request`.
macro_rules! trial {
    ($name:expr, $run:expr, on_request) => {
        inventory::submit! {
            $crate::support::registry::Trial {
                name: $name, run: $run, seconds: 0, on_request: true,
            }
        }
    };
    ($name:literal, $run:expr) => {
        trial!($name, $run, seconds = 0);
    };
    ($name:literal, $run:expr, seconds = $seconds:literal) => {
        inventory::submit! {
            $crate::support::registry::Trial {
                name: $name, run: $run, seconds: $seconds, on_request: false,
            }
        }
    };
}
pub(crate) use trial;

/// How long each trial took in this run.
#[derive(Clone, Default)]
pub(crate) struct Durations(Arc<Mutex<Vec<(Duration, &'static str)>>>);

impl Durations {
    fn note(&self, took: Duration, name: &'static str) {
        let mut noted = self.0.lock();
        noted.push((took, name));
    }

    /// Prints the slowest trials, the slowest first.
    pub(crate) fn print_slowest(&self, count: usize) {
        let mut noted = self.0.lock();
        noted.sort_by_key(|(took, _)| Reverse(*took));

        for (took, name) in noted.iter().take(count) {
            eprintln!("{:6.1} s  {name}", took.as_secs_f64());
        }
    }
}

/// All trials for the harness, the longest first. The place of a trial is its number in this order,
/// so a filter changes no place.
pub(crate) fn all(durations: &Durations) -> Vec<libtest_mimic::Trial> {
    let mut trials: Vec<&'static Trial> = inventory::iter::<Trial>.into_iter().collect();
    trials.sort_by_key(|trial| (Reverse(trial.seconds), trial.name));
    for pair in trials.windows(2) {
        assert_ne!(pair[0].name, pair[1].name, "two trials have one name");
    }

    let for_harness = |(number, trial): (usize, &'static Trial)| {
        let durations = durations.clone();
        let run = move || {
            let begun = Instant::now();
            if trial.name.starts_with(table::PREFIX) {
                table::record(trial.name, || (trial.run)(number + 1));
            } else {
                (trial.run)(number + 1);
            }
            durations.note(begun.elapsed(), trial.name);
            Ok(())
        };
        libtest_mimic::Trial::test(trial.name, run).with_ignored_flag(trial.on_request)
    };
    trials.into_iter().enumerate().map(for_harness).collect()
}
