//! What the workers did, minute by minute, and in the last hour.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use utoipa::ToSchema;

use crate::failure::Failure;
use crate::limits::{QuotaClass, Rate};
use crate::ports::usage::{MINUTES_KEPT, Usage};
use crate::telemetry::minutes::{ACCESS_RANGES, Counts};

/// What the workers did, minute by minute
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Series {
    /// When it was read. The last minute is not over.
    #[schema(value_type = String, format = DateTime)]
    pub as_of: Timestamp,
    /// Oldest first.
    pub minutes: Vec<MinuteOfFleet>,
}

/// What all workers did in a minute; null if no worker wrote its counts, or they were lost
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct MinuteOfFleet {
    /// When the minute began.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// Users who were finished.
    pub finished: Option<u64>,
    /// Users whose access was removed.
    pub access_removed: Option<u64>,
    /// Calls to CXone.
    pub api_calls: Option<u64>,
    /// Calls that CXone answered with 429.
    pub throttled: Option<u64>,
}

/// What the workers did in the last hour
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LastHour {
    /// Of how many minutes the counts are known. Rates are of these minutes.
    pub minutes_known: u64,
    /// Users who were finished.
    pub finished: u64,
    /// Users finished per minute.
    pub finished_per_minute: f64,
    /// Users whose access was removed.
    pub access_removed: u64,
    /// The time within which the access of 95 of 100 users was removed, as the end of a range, in seconds. Null if nobody's
    /// access was removed, or if it took more than a day.
    pub access_removed_p95_at_most_seconds: Option<u64>,
    /// The quota of each class of calls.
    pub quotas: Vec<QuotaUse>,
}

/// How much of a quota was used
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct QuotaUse {
    /// The class of calls.
    #[schema(value_type = String, example = "routing")]
    pub class: &'static str,
    /// Calls in the minutes that are known.
    pub used: u64,
    /// Calls that the quota allows in as much time; null if the quota is off.
    pub allowed: Option<f64>,
    /// The quota in the settings, in calls per second; null if it is off.
    pub allowed_per_second: Option<f64>,
    /// Calls that CXone answered with 429.
    pub throttled: u64,
}

/// The quota of each class in the settings; `None` is off.
pub(crate) type ClassRates = [(QuotaClass, Option<Rate>); 3];

/// The minute of a time, since 1970.
fn minute_of(at: Timestamp) -> i64 {
    at.as_second().div_euclid(60)
}

/// The counts of each minute since `since`, at most those of 48 hours.
pub(crate) async fn series(
    usage: &dyn Usage,
    since: Timestamp,
    now: Timestamp,
) -> Result<Series, Failure> {
    let range = Minutes::since(since, now);
    let counts = usage.minutes(range.first, range.count).await?;
    let minutes = range.starts().zip(counts).map(|(at, counts)| {
        let sum = |of: fn(&Counts) -> u64| counts.as_ref().map(of);
        MinuteOfFleet {
            at,
            finished: sum(|counts| counts.finished),
            access_removed: sum(|counts| counts.access_removed.iter().sum()),
            api_calls: sum(|counts| counts.api_calls.iter().sum()),
            throttled: sum(|counts| counts.throttled.iter().sum()),
        }
    });
    Ok(Series {
        as_of: now,
        minutes: minutes.collect(),
    })
}

/// A range of minutes that ends now.
pub(crate) struct Minutes {
    pub(crate) first: i64,
    pub(crate) count: u16,
}

impl Minutes {
    /// At most the minutes that are kept.
    pub(crate) fn since(since: Timestamp, now: Timestamp) -> Self {
        let last = minute_of(now);
        let wanted = last.saturating_sub(minute_of(since)).saturating_add(1);
        let count = u16::try_from(wanted.max(1))
            .unwrap_or(MINUTES_KEPT)
            .min(MINUTES_KEPT);
        Self {
            first: last - i64::from(count) + 1,
            count,
        }
    }

    /// All that are kept.
    pub(crate) fn all(now: Timestamp) -> Self {
        Self {
            first: minute_of(now) - i64::from(MINUTES_KEPT) + 1,
            count: MINUTES_KEPT,
        }
    }

    /// When each of them began.
    pub(crate) fn starts(&self) -> impl Iterator<Item = Timestamp> + use<> {
        let minutes = self.first..self.first + i64::from(self.count);
        minutes.map(|minute| Timestamp::from_second(minute * 60).unwrap_or(Timestamp::UNIX_EPOCH))
    }

    /// The place of a time in the range.
    pub(crate) fn place_of(&self, at: Timestamp) -> Option<usize> {
        let place = usize::try_from(minute_of(at) - self.first).ok()?;
        (place < usize::from(self.count)).then_some(place)
    }
}

/// What the workers did in the last hour; `None` if nothing is known of it.
pub(crate) async fn last_hour(
    usage: &dyn Usage,
    rates: &ClassRates,
    now: Timestamp,
) -> Result<Option<LastHour>, Failure> {
    let since = now - SignedDuration::from_mins(59);
    let range = Minutes::since(since, now);
    let minutes = usage.minutes(range.first, range.count).await?;
    Ok(LastHour::of(&minutes, rates))
}

impl LastHour {
    fn of(minutes: &[Option<Counts>], rates: &ClassRates) -> Option<Self> {
        let mut sum = Counts::default();
        let mut known: u32 = 0;
        for counts in minutes.iter().flatten() {
            sum.add(counts);
            known += 1;
        }
        if known == 0 {
            return None;
        }

        Some(Self {
            minutes_known: known.into(),
            finished: sum.finished,
            finished_per_minute: as_f64(sum.finished) / f64::from(known),
            access_removed: sum.access_removed.iter().sum(),
            access_removed_p95_at_most_seconds: p95_at_most(&sum.access_removed),
            quotas: quotas(&sum, rates, Duration::from_mins(known.into())),
        })
    }
}

/// How much of each quota was used in this time.
pub(crate) fn quotas(counts: &Counts, rates: &ClassRates, time: Duration) -> Vec<QuotaUse> {
    let calls = counts.api_calls.iter().zip(&counts.throttled);
    let classes = rates.iter().zip(calls);
    let uses = classes.map(|((class, rate), (used, throttled))| {
        let per_second = rate.map(Rate::per_second);
        QuotaUse {
            class: class.as_str(),
            used: *used,
            allowed: per_second.map(|rate| rate * time.as_secs_f64()),
            allowed_per_second: per_second,
            throttled: *throttled,
        }
    });
    uses.collect()
}

#[expect(clippy::cast_precision_loss, reason = "counts far under 2^53")]
const fn as_f64(count: u64) -> f64 {
    count as f64
}

/// The end of the range that has the 95th percentile by nearest rank.
fn p95_at_most(ranges: &[u64]) -> Option<u64> {
    let total: u64 = ranges.iter().sum();
    let rank = (total * 95).div_ceil(100).max(1);
    let mut sum = 0;
    let place = ranges.iter().position(|count| {
        sum += count;
        sum >= rank
    })?;
    ACCESS_RANGES.get(place).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn rates() -> ClassRates {
        let rate = |text| Rate::parse(text).ok();
        [
            (QuotaClass::Routing, rate("20/s")),
            (QuotaClass::Scim, rate("2/s")),
            (QuotaClass::Analytics, None),
        ]
    }

    #[test]
    fn the_range_has_this_minute_and_never_more_than_48_hours() {
        let range = Minutes::since(at(600), at(659));
        assert_eq!((range.first, range.count), (10, 1));
        let range = Minutes::since(at(540), at(661));
        assert_eq!((range.first, range.count), (9, 3));
        assert_eq!(
            range.starts().collect::<Vec<_>>(),
            [at(540), at(600), at(660)]
        );
        assert_eq!(range.place_of(at(601)), Some(1));
        assert_eq!(
            (range.place_of(at(539)), range.place_of(at(720))),
            (None, None)
        );
        let long = Minutes::since(at(0), at(60 * 1_000_000));
        assert_eq!((long.first, long.count), (1_000_000 - 2879, 2880));
        assert_eq!(Minutes::since(at(9_000), at(60)).count, 1);
    }

    #[test]
    fn a_rate_is_of_the_minutes_that_are_known_and_none_is_unknown() {
        assert_eq!(LastHour::of(&[None, None], &rates()), None);
        let busy = Counts {
            finished: 9,
            api_calls: [60, 0, 5],
            throttled: [0, 3, 0],
            ..Counts::default()
        };
        let minutes = [None, Some(busy), Some(Counts::default()), None];
        let hour = LastHour::of(&minutes, &rates()).unwrap();
        assert_eq!((hour.minutes_known, hour.finished), (2, 9));
        assert!((hour.finished_per_minute - 4.5).abs() < 1e-9);
        assert_eq!(hour.access_removed_p95_at_most_seconds, None);
        let uses: Vec<_> = hour
            .quotas
            .iter()
            .map(|quota| (quota.class, quota.used, quota.allowed, quota.throttled))
            .collect();
        assert_eq!(
            uses,
            [
                ("routing", 60, Some(2400.0), 0),
                ("scim", 0, Some(240.0), 3),
                ("analytics", 5, None, 0),
            ]
        );
    }

    #[test]
    fn the_95th_percentile_is_the_end_of_its_range() {
        let mut ranges = [0; 13];
        assert_eq!(p95_at_most(&ranges), None);
        ranges[0] = 95;
        ranges[3] = 5;
        assert_eq!(p95_at_most(&ranges), Some(10));
        ranges[3] = 6;
        assert_eq!(p95_at_most(&ranges), Some(120));
        ranges[12] = 100;
        assert_eq!(p95_at_most(&ranges), None);
    }
}
