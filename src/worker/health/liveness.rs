//! Whether a worker makes progress, and is not merely alive: what `/healthz` reports.
//!
//! An orchestrator restarts a worker that fails `/healthz`, so it reports only faults that a restart fixes, and only
//! after they have lasted:
//!
//! | what is seen | unhealthy after |
//! | --- | --- |
//! | the loop that receives deliveries, or reopens the intake, makes no turn | 3 min; each turn has timeouts that end within 90 s |
//! | a queue holds jobs, its lane has a free slot, and none of them is delivered | 5 min; a broker delivers within milliseconds |
//! | users are in progress, and nothing is answered, saved, read or settled | 20 min; no call may take longer than 10 min |
//! | a task that the worker needs is dead | at once |
//!
//! A runtime that hangs as a whole does not answer at all. Each sample of the queues checks the second and the third,
//! and they count only while nothing else keeps users waiting: the circuit breaker (services that are away, an alarm of
//! the broker, queues that take nothing), an operator's pause, a suspicious message in isolation, an intake that is
//! being opened. Those are on `/readyz`. Users who wait for a quota count as progress, and those who wait for the
//! deletion rate limit or a retry are delayed. After a process was stopped for a while, each count begins again.

use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use tokio::task::AbortHandle;
use tokio::time::Instant;

use crate::failpoint::time_scaled;
use crate::job::Source;

const TURNS_WITHIN: Duration = Duration::from_mins(3);
const TAKES_WITHIN: Duration = Duration::from_mins(5);
const MOVES_WITHIN: Duration = Duration::from_mins(20);
const FRESH_FOR: Duration = Duration::from_mins(1);

/// The state of the queues, and of the worker itself, at one time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sample {
    /// For each source, whether jobs wait in its queue and its lane has a free slot.
    pub(crate) takeable: [bool; Source::ALL.len()],
    /// For each source, how many deliveries came since the process began.
    pub(crate) received: [u64; Source::ALL.len()],
    /// Something that is on `/readyz` keeps users waiting.
    pub(crate) held_up: bool,
    /// Some user is in progress, and none waits for a quota.
    pub(crate) at_work: bool,
    /// [`crate::progress::Progress::so_far`].
    pub(crate) progress: u64,
}

/// What the samples showed so far.
pub(crate) struct Health {
    signs: Mutex<Signs>,
    tasks: Mutex<Vec<(&'static str, AbortHandle)>>,
}

struct Signs {
    /// Nothing before the first turn: a start has timeouts of its own.
    turned: Option<Instant>,
    /// The intake is open, and takes what comes.
    taking: bool,
    sampled: Instant,
    before: Option<Sample>,
    /// Since when jobs could be taken and none came.
    idle: [Option<Instant>; Source::ALL.len()],
    stuck: Option<Instant>,
}

impl Signs {
    /// After a gap it is unknown what happened in between.
    fn are_fresh(&self, now: Instant) -> bool {
        now - self.sampled <= FRESH_FOR
    }
}

impl Default for Health {
    fn default() -> Self {
        let now = Instant::now();
        let none = [None; Source::ALL.len()];
        let signs = Signs {
            turned: None,
            taking: false,
            sampled: now,
            before: None,
            idle: none,
            stuck: None,
        };

        Self {
            signs: Mutex::new(signs),
            tasks: Mutex::default(),
        }
    }
}

impl Health {
    fn signs(&self) -> MutexGuard<'_, Signs> {
        self.signs.lock()
    }

    /// A task that the worker cannot do without.
    pub(crate) fn needs(&self, name: &'static str, task: AbortHandle) {
        self.tasks.lock().push((name, task));
    }

    /// The loop that receives deliveries, or the one that reopens the intake, made a turn.
    pub(crate) fn turned(&self, taking: bool) {
        let mut signs = self.signs();
        signs.turned = Some(Instant::now());
        signs.taking = taking;
    }

    /// Compares a sample with the one before it.
    pub(crate) fn sampled(&self, sample: Sample) {
        let now = Instant::now();
        let mut signs = self.signs();
        let before = signs.before.replace(sample);
        let before = before.filter(|_| signs.are_fresh(now) && !sample.held_up);

        let since =
            |still: bool, since: Option<Instant>| if still { since.or(Some(now)) } else { None };
        let taking = signs.taking;
        for (place, idle) in signs.idle.iter_mut().enumerate() {
            let none_came = before
                .is_some_and(|before| before.received.get(place) == sample.received.get(place));
            let takeable = sample.takeable.get(place).is_some_and(|takeable| *takeable);
            *idle = since(taking && takeable && none_came, *idle);
        }

        let is_stuck =
            sample.at_work && before.is_some_and(|before| before.progress == sample.progress);
        signs.stuck = since(is_stuck, signs.stuck);
        signs.sampled = now;
    }

    /// Faults that a restart would fix.
    pub(crate) fn unhealthy_reasons(&self) -> Vec<String> {
        let now = Instant::now();
        let signs = self.signs();
        let turned = signs
            .turned
            .map(|turned| now - turned)
            .filter(|turned| *turned >= TURNS_WITHIN);
        let hangs = turned.map(|turned| {
            format!(
                "the loop that receives deliveries has made no turn for {} s",
                turned.as_secs()
            )
        });
        // What was not sampled lately may be over.
        let seen_until = signs.are_fresh(now).then_some(signs.sampled);
        let over = |since: Option<Instant>, within: Duration| {
            let lasted = seen_until? - since?;
            (lasted >= within).then_some(lasted.as_secs())
        };
        let idle = Source::ALL
            .iter()
            .zip(signs.idle)
            .filter_map(|(source, since)| {
                let seconds = over(since, time_scaled(TAKES_WITHIN))?;
                let queue = source.queue();
                Some(format!(
                    "jobs wait in {queue}, slots are free, and RabbitMQ delivered none for {seconds} s"
                ))
            });
        let stuck = over(signs.stuck, time_scaled(MOVES_WITHIN)).map(|seconds| {
            format!(
                "users are in progress, and nothing was answered, saved or settled for {seconds} s"
            )
        });
        let tasks = self.tasks.lock();
        let dead = tasks.iter().filter(|(_, task)| task.is_finished());
        let dead = dead.map(|(name, _)| format!("the task that {name} is dead"));

        hangs
            .into_iter()
            .chain(idle)
            .chain(stuck)
            .chain(dead)
            .collect()
    }
}

#[cfg(test)]
#[path = "liveness_tests.rs"]
mod tests;
