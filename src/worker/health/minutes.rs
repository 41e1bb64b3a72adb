use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio_util::task::AbortOnDropHandle;
use uuid::Uuid;

use crate::clock::Clock;
use crate::ports::usage::{MinutePart, Usage};
use crate::telemetry::minutes::{Counts, take};

/// As often as a heartbeat.
const EVERY: Duration = Duration::from_secs(5);
/// Parts that wait for a store that is away: those of an hour. The oldest ones are given up first.
const UNSENT_AT_MOST: usize = 720;

/// Writes down what this process did, a part of a minute at a time.
pub(crate) struct MinuteWriter {
    usage: Arc<dyn Usage>,
    clock: Clock,
    /// A name that no other process has, since two may run under one worker's name for a moment.
    writer: String,
    number: u64,
    unsent: VecDeque<MinutePart>,
}

impl MinuteWriter {
    pub(crate) fn new(usage: Arc<dyn Usage>, clock: Clock) -> Self {
        Self {
            usage,
            clock,
            writer: Uuid::new_v4().to_string(),
            number: 0,
            unsent: VecDeque::new(),
        }
    }

    /// Writes what was done since the last call, and what could not be written before.
    pub(crate) async fn write(&mut self) {
        self.write_counts(take()).await;
    }

    async fn write_counts(&mut self, counts: Counts) {
        self.number += 1;
        self.unsent.push_back(MinutePart {
            minute: self.clock.now().as_second().div_euclid(60),
            number: self.number,
            counts,
        });
        if self.unsent.len() > UNSENT_AT_MOST {
            self.unsent.pop_front();
        }
        while let Some(part) = self.unsent.front() {
            if let Err(failure) = self.usage.add(&self.writer, part).await {
                tracing::debug!(%failure, "the counts of this minute cannot be written");
                return;
            }
            self.unsent.pop_front();
        }
    }
}

/// Writes again and again, as long as the handle lives. The work does not wait for it.
pub(crate) fn keep_minutes(writer: Arc<Mutex<MinuteWriter>>) -> AbortOnDropHandle<()> {
    AbortOnDropHandle::new(tokio::spawn(async move {
        let mut due = tokio::time::interval(EVERY);
        due.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            due.tick().await;
            writer.lock().await.write().await;
        }
    }))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use async_trait::async_trait;
    use jiff::Timestamp;

    use super::*;
    use crate::failure::{Class, Code, Failure};

    #[derive(Default)]
    struct Stored {
        away: AtomicBool,
        parts: parking_lot::Mutex<Vec<MinutePart>>,
    }

    #[async_trait]
    impl Usage for Stored {
        async fn add(&self, _writer: &str, part: &MinutePart) -> Result<(), Failure> {
            if self.away.load(Ordering::Relaxed) {
                let code = Code::CheckpointsUnreachable;
                return Err(Failure::new(Class::Systemic, code, "away"));
            }
            self.parts.lock().push(part.clone());
            Ok(())
        }

        async fn minutes(&self, _from: i64, _count: u16) -> Result<Vec<Option<Counts>>, Failure> {
            Ok(Vec::new())
        }

        async fn deletions(&self, _per: Duration) -> Result<Option<u64>, Failure> {
            Ok(None)
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_done_while_the_store_was_away_is_written_to_its_own_minute() {
        let stored = Arc::new(Stored::default());
        let clock = Clock::starting_at(Timestamp::from_second(60_000).unwrap());
        let usage = Arc::clone(&stored) as Arc<dyn Usage>;
        let mut writer = MinuteWriter::new(usage, clock);
        let done = |finished| Counts {
            finished,
            ..Counts::default()
        };

        stored.away.store(true, Ordering::Relaxed);
        writer.write_counts(done(1)).await;
        tokio::time::advance(Duration::from_mins(2)).await;
        stored.away.store(false, Ordering::Relaxed);
        writer.write_counts(done(2)).await;

        let parts = stored.parts.lock();
        let written: Vec<_> = parts
            .iter()
            .map(|part| (part.minute, part.number, part.counts.finished))
            .collect();
        assert_eq!(written, [(1000, 1, 1), (1002, 2, 2)]);
    }

    #[tokio::test]
    async fn a_store_that_stays_away_costs_bounded_memory() {
        let stored = Arc::new(Stored::default());
        stored.away.store(true, Ordering::Relaxed);
        let usage = Arc::clone(&stored) as Arc<dyn Usage>;
        let mut writer = MinuteWriter::new(usage, Clock::system());
        for _ in 0..UNSENT_AT_MOST + 3 {
            writer.write_counts(Counts::default()).await;
        }
        assert_eq!(writer.unsent.len(), UNSENT_AT_MOST);
        assert_eq!(writer.unsent.front().map(|part| part.number), Some(4));
    }
}
