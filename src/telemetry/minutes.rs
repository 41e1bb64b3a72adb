//! What this process did since it last wrote it down, for the counts by minute that all workers share.

use std::time::Duration;

use parking_lot::Mutex;

use crate::limits::QuotaClass;

/// The upper ends of the ranges in which the removal of access is counted, in seconds; one more range has no end.
pub(crate) const ACCESS_RANGES: [u64; 12] = [
    10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21_600, 43_200, 86_400,
];
const RANGES: usize = ACCESS_RANGES.len() + 1;
const CLASSES: usize = QuotaClass::ALL.len();

/// Counts of what was done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Users who are finished.
    pub finished: u64,
    /// Users whose access was removed, by the range of the time that it took.
    pub access_removed: [u64; RANGES],
    /// Calls to CXone, by class.
    pub api_calls: [u64; CLASSES],
    /// Calls that CXone answered with 429, by class.
    pub throttled: [u64; CLASSES],
}

/// The number of the range of this time.
pub(crate) fn range_of(after: Duration) -> usize {
    let ended = ACCESS_RANGES.iter();
    ended
        .take_while(|end| after > Duration::from_secs(**end))
        .count()
}

impl Counts {
    const fn none() -> Self {
        Self {
            finished: 0,
            access_removed: [0; RANGES],
            api_calls: [0; CLASSES],
            throttled: [0; CLASSES],
        }
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.finished += other.finished;
        let sum = |into: &mut [u64], from: &[u64]| {
            for (into, from) in into.iter_mut().zip(from) {
                *into += from;
            }
        };
        sum(&mut self.access_removed, &other.access_removed);
        sum(&mut self.api_calls, &other.api_calls);
        sum(&mut self.throttled, &other.throttled);
    }

    /// All counts with their stored names, in a fixed order.
    pub(crate) fn named(&self) -> Vec<(String, u64)> {
        let mut named = vec![("finished".to_owned(), self.finished)];
        let ranges = self.access_removed.iter().enumerate();
        named.extend(ranges.map(|(range, count)| (format!("access:{range}"), *count)));
        for (class, calls) in QuotaClass::ALL.into_iter().zip(self.api_calls) {
            named.push((format!("calls:{}", class.as_str()), calls));
        }
        for (class, throttled) in QuotaClass::ALL.into_iter().zip(self.throttled) {
            named.push((format!("throttled:{}", class.as_str()), throttled));
        }
        named
    }

    /// The counts of these values, in the order of [`Self::named`].
    pub(crate) fn of_values(values: impl IntoIterator<Item = u64>) -> Self {
        let mut values = values.into_iter();
        let mut counts = Self::none();
        let places = std::iter::once(&mut counts.finished)
            .chain(&mut counts.access_removed)
            .chain(&mut counts.api_calls)
            .chain(&mut counts.throttled);
        for place in places {
            *place = values.next().unwrap_or(0);
        }
        counts
    }
}

/// As the instruments are, and for the same reason, this is one for the process.
static SINCE_LAST_TAKE: Mutex<Counts> = Mutex::new(Counts::none());

/// The counts since the last call.
pub(crate) fn take() -> Counts {
    std::mem::take(&mut SINCE_LAST_TAKE.lock())
}

pub(super) fn finished() {
    SINCE_LAST_TAKE.lock().finished += 1;
}

pub(super) fn access_removed(after: Duration) {
    let mut counts = SINCE_LAST_TAKE.lock();
    if let Some(count) = counts.access_removed.get_mut(range_of(after)) {
        *count += 1;
    }
}

pub(super) fn api_answered(class: QuotaClass, throttled: bool) {
    let place = QuotaClass::ALL.iter().position(|other| *other == class);
    let place = place.unwrap_or_default();
    let mut counts = SINCE_LAST_TAKE.lock();
    if let Some(calls) = counts.api_calls.get_mut(place) {
        *calls += 1;
    }
    if throttled && let Some(count) = counts.throttled.get_mut(place) {
        *count += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_in_the_range_that_it_does_not_exceed() {
        let range = |seconds| range_of(Duration::from_secs(seconds));
        assert_eq!((range(0), range(10), range(11)), (0, 0, 1));
        assert_eq!((range(86_400), range(86_401)), (11, 12));
        assert_eq!(range_of(Duration::from_millis(10_001)), 1);
    }

    #[test]
    fn counts_have_one_name_each_and_read_back() {
        let numbers = 1..=u64::try_from(1 + RANGES + 2 * CLASSES).unwrap();
        let counts = Counts::of_values(numbers.clone());
        let pairs = counts.named();
        assert!(pairs.iter().map(|(_, count)| *count).eq(numbers));
        let mut names: Vec<&str> = pairs.iter().map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), pairs.len());

        let mut twice = counts.clone();
        twice.add(&counts);
        assert_eq!(
            (twice.finished, twice.throttled[2]),
            (2, 2 * counts.throttled[2])
        );
    }
}
