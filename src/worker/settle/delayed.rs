use std::collections::VecDeque;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use tokio::time::Instant;

use crate::job::Lane;
use crate::job::Source;
use crate::queue::names::DELAYS;

const JUST_NOW: Duration = Duration::from_secs(5);

/// The jobs that this worker delayed and that have not come back yet. A delay queue returns its jobs in order, each
/// after the same delay: one count for each second is enough to know the oldest, and there are never more of them than
/// the delay has seconds.
#[derive(Default)]
pub(crate) struct Delayed {
    queues: Mutex<[VecDeque<Second>; DELAYS.len()]>,
}

/// What was delayed within one second.
struct Second {
    since: Instant,
    access: u64,
    archive: u64,
}

impl Delayed {
    /// Each delay, and what waits in its queue.
    fn queues(&self) -> MutexGuard<'_, [VecDeque<Second>; DELAYS.len()]> {
        self.queues.lock()
    }

    /// Counts a job of this source that was delayed.
    pub(crate) fn add(&self, source: Source, pause: Duration) {
        let now = Instant::now();
        let mut queues = self.queues();
        let Some((_, seconds)) = DELAYS
            .iter()
            .zip(queues.iter_mut())
            .find(|(wait, _)| **wait == pause)
        else {
            return;
        };

        drop_due(seconds, pause, now);
        if seconds
            .back()
            .is_none_or(|last| now - last.since >= Duration::from_secs(1))
        {
            seconds.push_back(Second {
                since: now,
                access: 0,
                archive: 0,
            });
        }

        if let Some(last) = seconds.back_mut() {
            match source.lane() {
                Lane::Access | Lane::Whole => last.access += 1,
                Lane::Archive => last.archive += 1,
            }
        }
    }

    /// How long the oldest job of this delay has waited; its queue holds `depth` jobs of all workers.
    pub(crate) fn oldest(&self, pause: Duration, depth: u64) -> Option<Duration> {
        let now = Instant::now();
        let mut queues = self.queues();
        let (_, seconds) = DELAYS
            .iter()
            .zip(queues.iter_mut())
            .find(|(wait, _)| **wait == pause)?;
        if depth == 0 {
            // Except for those that came after the depth was read.
            seconds.retain(|second| now - second.since < JUST_NOW);
        }
        drop_due(seconds, pause, now);
        Some(now - seconds.front()?.since)
    }

    /// How many jobs of a lane are delayed, and how long the oldest of them has waited.
    pub(crate) fn of(&self, lane: Lane) -> (u64, Option<Duration>) {
        let now = Instant::now();
        let mut queues = self.queues();
        let mut count = 0;
        let mut oldest = None;

        for (pause, seconds) in DELAYS.iter().zip(queues.iter_mut()) {
            drop_due(seconds, *pause, now);
            for second in seconds.iter() {
                let jobs = if lane == Lane::Archive {
                    second.archive
                } else {
                    second.access
                };
                if jobs > 0 {
                    count += jobs;
                    oldest = oldest.max(Some(now - second.since));
                }
            }
        }
        (count, oldest)
    }
}

/// What was delayed longer ago than the delay is in a queue of jobs again.
fn drop_due(seconds: &mut VecDeque<Second>, pause: Duration, now: Instant) {
    while seconds
        .front()
        .is_some_and(|first| now - first.since >= pause)
    {
        seconds.pop_front();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEN_MINUTES: Duration = Duration::from_mins(10);

    async fn pass(seconds: u64) {
        tokio::time::advance(Duration::from_secs(seconds)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn the_oldest_of_a_queue_is_the_first_that_was_delayed_until_it_is_due() {
        let delayed = Delayed::default();
        assert_eq!(
            delayed.oldest(TEN_MINUTES, 5),
            None,
            "other workers delayed these"
        );
        delayed.add(Source::Users, TEN_MINUTES);
        pass(90).await;
        delayed.add(Source::Archive, TEN_MINUTES);
        delayed.add(Source::Archive, Duration::from_secs(30));
        pass(10).await;
        assert_eq!(
            delayed.oldest(TEN_MINUTES, 7),
            Some(Duration::from_secs(100))
        );
        assert_eq!(
            delayed.oldest(Duration::from_secs(30), 1),
            Some(Duration::from_secs(10))
        );
        pass(499).await;
        assert_eq!(
            delayed.oldest(TEN_MINUTES, 7),
            Some(Duration::from_secs(599))
        );
        pass(1).await;
        assert_eq!(
            delayed.oldest(TEN_MINUTES, 7),
            Some(Duration::from_secs(510)),
            "the first is due"
        );
        assert_eq!(delayed.oldest(Duration::from_secs(30), 1), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_lane_counts_its_delayed_jobs_in_all_queues() {
        let delayed = Delayed::default();
        for _ in 0..3 {
            delayed.add(Source::UsersUrgent, TEN_MINUTES);
        }
        pass(20).await;
        delayed.add(Source::Users, Duration::from_mins(2));
        delayed.add(Source::ArchiveUrgent, Duration::from_mins(2));
        pass(1).await;
        assert_eq!(delayed.of(Lane::Access), (4, Some(Duration::from_secs(21))));
        assert_eq!(delayed.of(Lane::Archive), (1, Some(Duration::from_secs(1))));
        pass(120).await;
        assert_eq!(delayed.of(Lane::Archive), (0, None));
        // Somebody emptied the queue.
        assert_eq!(delayed.oldest(TEN_MINUTES, 0), None);
        assert_eq!(delayed.of(Lane::Access), (0, None));
    }

    #[tokio::test(start_paused = true)]
    async fn however_many_are_delayed_there_is_one_count_for_a_second() {
        let delayed = Delayed::default();
        for _ in 0..20_000 {
            delayed.add(Source::Users, Duration::from_mins(2));
            tokio::time::advance(Duration::from_millis(10)).await;
        }
        let held = delayed.queues().iter().map(VecDeque::len).sum::<usize>();
        assert!((119..=121).contains(&held), "{held} counts");
    }
}
