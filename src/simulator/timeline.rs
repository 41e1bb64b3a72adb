//! When the conversations of a user began, for APIs that count them: rows appear and vanish while they are paged.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use super::conversations::first_from;

const DAY_SECONDS: i64 = 86_400;
const YEAR_SECONDS: i64 = 364 * DAY_SECONDS;

/// The conversations of one user, evenly spaced over the year before the simulator's start, oldest first. Where they
/// are days apart, every third begins exactly at midnight: an edge of most windows.
pub(super) struct Timeline {
    count: u64,
    midnight: Timestamp,
    step_seconds: i64,
    appeared: BTreeSet<u64>,
    vanished: BTreeSet<u64>,
}

/// One conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Row {
    index: u64,
    /// It appeared, a second after that with the same index.
    appeared: bool,
}

impl Row {
    /// A number that no other conversation of the user has; it never changes.
    pub(super) const fn number(self) -> u64 {
        self.index * 2 + self.appeared as u64
    }
}

impl Timeline {
    pub(super) fn new(count: u64, epoch: Timestamp) -> Self {
        let seconds = epoch.as_second();
        let midnight = seconds - seconds.rem_euclid(DAY_SECONDS);
        let rows = i64::try_from(count).unwrap_or(i64::MAX).saturating_add(1);
        let step = (YEAR_SECONDS / rows).max(2);
        let step_seconds = if step > DAY_SECONDS {
            step - step % DAY_SECONDS
        } else {
            step
        };
        Self {
            count,
            midnight: Timestamp::from_second(midnight).unwrap_or(epoch),
            step_seconds,
            appeared: BTreeSet::new(),
            vanished: BTreeSet::new(),
        }
    }

    /// How many there are now.
    pub(super) fn len(&self) -> u64 {
        self.count + self.appeared.len() as u64 - self.vanished.len() as u64
    }

    pub(super) fn start(&self, row: Row) -> Timestamp {
        let base = self.start_of(row.index);
        if row.appeared {
            base + SignedDuration::from_secs(1)
        } else {
            base
        }
    }

    fn start_of(&self, index: u64) -> Timestamp {
        let before = i64::try_from(self.count - index)
            .unwrap_or(0)
            .saturating_mul(self.step_seconds);
        let hours = if self.step_seconds >= DAY_SECONDS {
            i64::try_from(index % 3).unwrap_or(0) * 5
        } else {
            0
        };
        self.midnight - SignedDuration::from_secs(before) + SignedDuration::from_hours(hours)
    }

    /// Those that began in `[from, to)`, oldest first.
    pub(super) fn rows(&self, from: Timestamp, to: Timestamp) -> Vec<Row> {
        let begin = self.first_from(from).saturating_sub(1);
        let end = self.first_from(to);
        let twins =
            (begin..end).flat_map(|index| [false, true].map(|appeared| Row { index, appeared }));
        twins
            .filter(|row| {
                let there = if row.appeared {
                    self.appeared.contains(&row.index)
                } else {
                    !self.vanished.contains(&row.index)
                };
                let start = self.start(*row);
                there && from <= start && start < to
            })
            .collect()
    }

    /// The newest of all.
    pub(super) fn newest(&self) -> Option<Row> {
        self.rows(Timestamp::MIN, Timestamp::MAX).pop()
    }

    fn first_from(&self, limit: Timestamp) -> u64 {
        first_from(self.count, limit, |index| self.start_of(index))
    }

    /// That many rows appear (or, below zero, vanish) at the beginning of `[from, to)`, so that all rows behind them move.
    pub(super) fn drift(&mut self, from: Timestamp, to: Timestamp, by: i64) {
        let wanted = usize::try_from(by.unsigned_abs()).unwrap_or(usize::MAX);
        let rows = self.rows(from, to);
        if by >= 0 {
            let free = rows.iter().map(|row| row.index);
            let free: BTreeSet<u64> = free
                .filter(|index| !self.appeared.contains(index))
                .collect();
            self.appeared.extend(free.into_iter().take(wanted));
            return;
        }
        for row in rows.into_iter().take(wanted) {
            if row.appeared {
                self.appeared.remove(&row.index);
            } else {
                self.vanished.insert(row.index);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn epoch() -> Timestamp {
        "2026-11-28T18:00:05Z".parse().unwrap()
    }

    fn starts(line: &Timeline) -> Vec<Timestamp> {
        let rows = line.rows(Timestamp::MIN, Timestamp::MAX);
        rows.iter().map(|row| line.start(*row)).collect()
    }

    #[test]
    fn rows_are_in_order_within_the_year_and_some_begin_at_midnight() {
        for count in [0, 1, 3, 40, 363, 364, 5000] {
            let starts = starts(&Timeline::new(count, epoch()));
            assert_eq!(starts.len() as u64, count);
            assert!(starts.is_sorted());
            let year = SignedDuration::from_hours(366 * 24);
            assert!(
                starts
                    .iter()
                    .all(|at| *at > epoch() - year && *at < epoch())
            );
        }
        let midnights = starts(&Timeline::new(40, epoch()));
        let midnights = midnights
            .iter()
            .filter(|at| at.as_second() % DAY_SECONDS == 0);
        assert_eq!(midnights.count(), 14);
    }

    #[test]
    fn a_row_at_the_end_of_a_window_belongs_to_the_next() {
        let line = Timeline::new(40, epoch());
        let all = line.rows(Timestamp::MIN, Timestamp::MAX);
        let from = line.start(all[10]);
        let to = line.start(all[20]);
        assert_eq!(line.rows(from, to), all[10..20]);
    }

    #[test]
    fn rows_that_appear_or_vanish_move_those_behind_them() {
        let mut line = Timeline::new(10, epoch());
        let before = line.rows(Timestamp::MIN, Timestamp::MAX);
        line.drift(Timestamp::MIN, Timestamp::MAX, 2);
        let after = line.rows(Timestamp::MIN, Timestamp::MAX);
        assert_eq!(line.len(), 12);
        assert_eq!(after.len(), 12);
        assert_eq!(after[4..], before[2..]);
        assert!(starts(&line).is_sorted());

        line.drift(Timestamp::MIN, Timestamp::MAX, -3);
        let fewer = line.rows(Timestamp::MIN, Timestamp::MAX);
        assert_eq!(fewer, after[3..]);
        assert_eq!(line.len(), 9);
    }
}
