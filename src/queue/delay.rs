//! How long a delayed job waits, as its headers say it.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::headers::{DELAY_LEFT, NOT_BEFORE};
use super::names::delay_for;
use super::{AddedHeaders, Properties};

/// The longest time before a worker checks a delayed job again, whatever its headers say.
const LONGEST_DELAY: SignedDuration = SignedDuration::from_hours(24);

/// The delay of the queue that a job waits in until `until`, and the headers that it needs when it comes back.
pub(crate) fn delay_headers(until: Timestamp, now: Timestamp) -> (Duration, AddedHeaders) {
    let until = until.min(now + LONGEST_DELAY);
    let remaining = Duration::try_from(until.duration_since(now)).unwrap_or_default();
    let delay = delay_for(remaining);
    let left = i64::try_from(remaining.saturating_sub(delay).as_millis()).unwrap_or(i64::MAX);

    let headers = vec![
        (NOT_BEFORE, until.as_millisecond().into()),
        (DELAY_LEFT, left.into()),
    ];
    (delay, headers)
}

/// Until when a delayed job waits: the time that was asked for, but no longer than what was left of the delay when
/// the job came back. The clocks of two workers may differ by more than the delay.
pub(super) fn delayed_until(properties: &Properties, now: Timestamp) -> Option<Timestamp> {
    let until = properties.time(NOT_BEFORE)?.min(now + LONGEST_DELAY);
    let left = properties.number(DELAY_LEFT);
    let latest = left
        .map(|left| SignedDuration::from_millis(left).min(LONGEST_DELAY))
        .and_then(|left| now.checked_add(left).ok());
    Some(latest.map_or(until, |latest| until.min(latest)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delay_of_900_years_is_checked_after_a_day() {
        let now = Timestamp::UNIX_EPOCH;
        let far = now + SignedDuration::from_hours(900 * 365 * 24);
        let left = i64::try_from(SignedDuration::from_hours(1_000_000).as_millis()).unwrap();
        let delayed = Properties::of_headers([
            (NOT_BEFORE, far.as_millisecond().into()),
            (DELAY_LEFT, left.into()),
        ]);
        assert_eq!(delayed_until(&delayed, now), Some(now + LONGEST_DELAY));

        let (delay, headers) = delay_headers(far, now);
        assert_eq!(delay, Duration::from_hours(2));
        let milliseconds: Vec<_> = headers
            .iter()
            .map(|(_, value)| value.as_number().unwrap())
            .collect();
        assert_eq!(milliseconds, [24 * 3_600_000, 22 * 3_600_000]);
    }

    #[test]
    fn a_job_waits_no_longer_than_was_left_of_its_delay_whatever_the_clocks_say() {
        let now = Timestamp::UNIX_EPOCH + SignedDuration::from_hours(1);
        let an_hour_ahead = now + SignedDuration::from_hours(1);
        let delayed = Properties::of_headers([
            (NOT_BEFORE, an_hour_ahead.as_millisecond().into()),
            (DELAY_LEFT, 5_000_i64.into()),
        ]);
        let until = delayed_until(&delayed, now);
        assert_eq!(until, Some(now + SignedDuration::from_secs(5)));
        assert_eq!(delayed_until(&Properties::default(), now), None);
    }
}
