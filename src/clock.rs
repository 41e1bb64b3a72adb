//! The wall clock, passed in so that tests can say what time it is.

use jiff::Timestamp;

/// A source of the current time. The clock of a test follows tokio's time, which a test can pause
/// and advance.
#[derive(Debug, Clone, Default)]
pub(crate) struct Clock {
    #[cfg(test)]
    paused: Option<std::sync::Arc<parking_lot::Mutex<(Timestamp, tokio::time::Instant)>>>,
}

impl Clock {
    /// The clock of this machine.
    pub(crate) fn system() -> Self {
        Self::default()
    }

    /// A clock that shows `start` now and advances with tokio's time.
    #[cfg(test)]
    pub(crate) fn starting_at(start: Timestamp) -> Self {
        Self {
            paused: Some(std::sync::Arc::new(parking_lot::Mutex::new((
                start,
                tokio::time::Instant::now(),
            )))),
        }
    }

    /// Shows this much more, as a clock does that somebody sets.
    #[cfg(test)]
    pub(crate) fn jump(&self, ahead: jiff::SignedDuration) {
        if let Some(paused) = &self.paused {
            let mut paused = paused.lock();
            paused.0 = paused.0.checked_add(ahead).unwrap_or(Timestamp::MAX);
        }
    }

    /// The current time, in whole milliseconds: that is what records say, and more would look like more than a clock knows.
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that reads the clock of this machine"
    )]
    #[cfg_attr(
        not(test),
        expect(clippy::unused_self, reason = "only the clock of a test has a state")
    )]
    pub(crate) fn now(&self) -> Timestamp {
        #[cfg(test)]
        if let Some(paused) = &self.paused {
            let (start, since) = *paused.lock();
            let elapsed = jiff::SignedDuration::try_from(since.elapsed()).unwrap_or_default();
            return start.checked_add(elapsed).unwrap_or(Timestamp::MAX);
        }
        whole_milliseconds(Timestamp::now())
    }
}

fn whole_milliseconds(time: Timestamp) -> Timestamp {
    Timestamp::from_millisecond(time.as_millisecond()).unwrap_or(time)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_shows_whole_milliseconds() {
        let time: Timestamp = "2026-11-30T05:14:14.123999Z".parse().unwrap();
        assert_eq!(
            whole_milliseconds(time).to_string(),
            "2026-11-30T05:14:14.123Z"
        );
        let now = Clock::system().now();
        assert_eq!(now.subsec_nanosecond() % 1_000_000, 0, "{now}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_clock_of_a_test_advances_with_tokios_time() {
        let start = Timestamp::from_second(1_000).unwrap();
        let clock = Clock::starting_at(start);
        assert_eq!(clock.now(), start);

        tokio::time::advance(std::time::Duration::from_secs(90)).await;
        assert_eq!(clock.now(), Timestamp::from_second(1_090).unwrap());
    }
}
