use std::time::Duration;

use backon::ExponentialBuilder;

const FIRST: Duration = Duration::from_millis(500);
pub(crate) const LONGEST: Duration = Duration::from_secs(30);

/// Endless pauses that double, each between a half and all of its length, so that workers which lost the same service
/// do not come back at the same moment.
pub(crate) fn backoff(first: Duration, longest: Duration) -> ExponentialBuilder {
    // `backon` adds a jitter of up to the pause itself.
    ExponentialBuilder::new()
        .with_min_delay(first / 2)
        .with_max_delay(longest / 2)
        .with_factor(2.0)
        .with_jitter()
        .without_max_times()
}

/// For the broker: reconnecting, and settling deliveries.
pub(crate) fn broker_backoff() -> ExponentialBuilder {
    backoff(FIRST, LONGEST)
}

#[cfg(test)]
mod tests {
    use backon::BackoffBuilder as _;

    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest_and_never_end() {
        let pauses: Vec<_> = broker_backoff().build().take(50).collect();
        let mut expected = FIRST;
        for pause in &pauses {
            assert!(*pause >= expected / 2 && *pause <= expected, "{pause:?}");
            expected = (expected * 2).min(LONGEST);
        }
        assert_eq!(pauses.len(), 50);
    }
}
