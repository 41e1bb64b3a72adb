//! Whether a worker gets on, and not merely lives: what `/healthz` says.
//!
//! Who asks it kills what answers badly, so only what a restart mends is bad, and nothing is that has not lasted:
//!
//! | what is seen | bad after |
//! | --- | --- |
//! | the loop that takes deliveries, or opens the intake anew, does not turn | 3 min; each turn has timeouts that are over within 90 s |
//! | a queue holds jobs, its lane has a free slot, and none of them comes | 5 min; a broker delivers within milliseconds |
//! | users are in progress, and nothing is answered, saved, read or settled | 20 min; no call may take longer than 10 min |
//! | a task that watches over the others is dead | at once |
//!
//! A runtime that hangs as a whole does not answer at all. The second and the third are sampled at each look at the
//! queues, and count only as long as nothing else holds users up: a breaker (services that are away, an alarm of the
//! broker, queues that take nothing), an operator's pause, a suspicious message that is worked on alone, an intake that
//! is being opened. They are on `/readyz`. Nor do users stand still who wait for a quota, and those who wait for
//! a brake or a retry are parked. A process that was stopped for a while begins to count anew.

use parking_lot::{Mutex, MutexGuard};
use std::time::Duration;

use tokio::task::AbortHandle;
use tokio::time::Instant;

use crate::failpoint::time_scaled;
use crate::job::Source;

const TURNS_WITHIN: Duration = Duration::from_mins(3);
const TAKES_WITHIN: Duration = Duration::from_mins(5);
const MOVES_WITHIN: Duration = Duration::from_mins(20);
const FRESH_FOR: Duration = Duration::from_mins(1);

/// What one look at the queues, and at the worker itself, saw.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Look {
    /// For each source, whether jobs wait in its queue and its lane has a free slot.
    pub(crate) takeable: [bool; Source::ALL.len()],
    /// For each source, how many deliveries came, ever.
    pub(crate) taken: [u64; Source::ALL.len()],
    /// Something that `/readyz` tells keeps users waiting.
    pub(crate) held_up: bool,
    /// Some user is in progress, and none waits for a quota.
    pub(crate) at_work: bool,
    /// [`crate::progress::so_far`].
    pub(crate) moved: u64,
}

/// What was seen so far.
pub(crate) struct Health {
    signs: Mutex<Signs>,
    tasks: Mutex<Vec<(&'static str, AbortHandle)>>,
}

struct Signs {
    /// Nothing before the first turn: a start has timeouts of its own.
    turned: Option<Instant>,
    /// The intake is open, and takes what comes.
    taking: bool,
    looked: Instant,
    before: Option<Look>,
    /// Since when jobs could be taken and none came.
    idle: [Option<Instant>; Source::ALL.len()],
    stuck: Option<Instant>,
}

impl Signs {
    /// After a gap nobody knows what was in between.
    fn are_fresh(&self, now: Instant) -> bool {
        now - self.looked <= FRESH_FOR
    }
}

impl Default for Health {
    fn default() -> Self {
        let now = Instant::now();
        let none = [None; Source::ALL.len()];
        let signs = Signs {
            turned: None,
            taking: false,
            looked: now,
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

    /// A task without which the worker is of no use, as long as it runs.
    pub(crate) fn needs(&self, name: &'static str, task: AbortHandle) {
        self.tasks.lock().push((name, task));
    }

    /// The loop that takes deliveries, or the one that opens the intake anew, came round.
    pub(crate) fn turned(&self, taking: bool) {
        let mut signs = self.signs();
        (signs.turned, signs.taking) = (Some(Instant::now()), taking);
    }

    /// Compares a look with the one before it.
    pub(crate) fn looked(&self, look: Look) {
        let (now, mut signs) = (Instant::now(), self.signs());
        let before = signs.before.replace(look);
        let before = before.filter(|_| signs.are_fresh(now) && !look.held_up);
        let since =
            |still: bool, since: Option<Instant>| if still { since.or(Some(now)) } else { None };
        let taking = signs.taking;
        for (place, idle) in signs.idle.iter_mut().enumerate() {
            let none_came =
                before.is_some_and(|before| before.taken.get(place) == look.taken.get(place));
            let takeable = look.takeable.get(place).is_some_and(|takeable| *takeable);
            *idle = since(taking && takeable && none_came, *idle);
        }
        let stands_still = look.at_work && before.is_some_and(|before| before.moved == look.moved);
        signs.stuck = since(stands_still, signs.stuck);
        signs.looked = now;
    }

    /// Why a restart would help, if it would.
    pub(crate) fn because(&self) -> Vec<String> {
        let (now, signs) = (Instant::now(), self.signs());
        let turned = signs
            .turned
            .map(|turned| now - turned)
            .filter(|turned| *turned >= TURNS_WITHIN);
        let hangs = turned.map(|turned| {
            format!(
                "the loop that takes deliveries has not come round for {} s",
                turned.as_secs()
            )
        });
        // What nobody can see any more may be over.
        let seen_until = signs.are_fresh(now).then_some(signs.looked);
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
                    "jobs wait in {queue}, slots are free, and none has come for {seconds} s"
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
mod tests {
    use super::*;
    use crate::worker::intake::backlog::LOOKS;

    const IDLE: Look = Look {
        takeable: [false; 4],
        taken: [0; 4],
        held_up: false,
        at_work: false,
        moved: 0,
    };
    /// Jobs wait in `offboarding.users`, and could be taken.
    const WAITS: Look = Look {
        takeable: [false, true, false, false],
        ..IDLE
    };
    const HELD_UP: Look = Look {
        held_up: true,
        at_work: true,
        ..WAITS
    };
    const AT_WORK: Look = Look {
        at_work: true,
        ..IDLE
    };

    /// Looks again and again for so long, with the loop coming round.
    async fn looks(health: &Health, minutes: u64, mut look: impl FnMut(u64) -> Look) {
        for number in 0..minutes * 6 {
            tokio::time::advance(LOOKS).await;
            health.turned(true);
            health.looked(look(number));
        }
    }

    fn well(health: &Health) -> bool {
        health.because().is_empty()
    }

    #[tokio::test(start_paused = true)]
    async fn a_worker_that_has_nothing_to_do_is_well() {
        let health = Health::default();
        looks(&health, 600, |_| IDLE).await;
        assert!(well(&health));
    }

    #[tokio::test(start_paused = true)]
    async fn a_loop_that_does_not_come_round_is_ill_until_it_does() {
        let health = Health::default();
        tokio::time::advance(Duration::from_hours(1)).await;
        assert!(well(&health), "it is starting");
        health.turned(true);
        tokio::time::advance(Duration::from_secs(179)).await;
        assert!(well(&health));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(
            health.because(),
            ["the loop that takes deliveries has not come round for 180 s"]
        );
        // While it opens the intake anew it takes nothing, and comes round.
        health.turned(false);
        assert!(well(&health));
    }

    #[tokio::test(start_paused = true)]
    async fn jobs_that_could_be_taken_and_do_not_come_are_an_illness_after_five_minutes() {
        let health = Health::default();
        looks(&health, 5, |_| WAITS).await;
        assert!(well(&health));
        looks(&health, 1, |_| WAITS).await;
        let because = health.because();
        assert!(because[0].starts_with(
            "jobs wait in offboarding.users, slots are free, and none has come for 3"
        ));
        // Another lane's deliveries are no help to these.
        looks(&health, 1, |number| Look {
            taken: [0, 0, number, number],
            ..WAITS
        })
        .await;
        assert!(!well(&health));
        looks(&health, 1, |number| Look {
            taken: [0, number, 0, 0],
            ..WAITS
        })
        .await;
        assert!(well(&health));
    }

    #[tokio::test(start_paused = true)]
    async fn what_holds_users_up_begins_the_count_anew() {
        let health = Health::default();
        looks(&health, 60, |_| HELD_UP).await;
        assert!(well(&health));
        looks(&health, 5, |_| WAITS).await;
        looks(&health, 1, |_| HELD_UP).await;
        looks(&health, 5, |_| WAITS).await;
        assert!(well(&health), "each stretch was short");
        // Paused for one message alone, or being opened.
        for _ in 0..60 {
            tokio::time::advance(LOOKS).await;
            health.turned(false);
            health.looked(WAITS);
        }
        assert!(well(&health));
    }

    #[tokio::test(start_paused = true)]
    async fn users_in_progress_with_whom_nothing_moves_are_an_illness_after_twenty_minutes() {
        let health = Health::default();
        looks(&health, 20, |_| AT_WORK).await;
        assert!(well(&health));
        looks(&health, 1, |_| AT_WORK).await;
        let because = health.because();
        assert!(because[0].starts_with(
            "users are in progress, and nothing was answered, saved or settled for 12"
        ));
        // One call an hour would do, and so does a wait for a quota.
        looks(&health, 19, |_| Look {
            moved: 1,
            ..AT_WORK
        })
        .await;
        assert!(well(&health));
        looks(&health, 19, |_| Look {
            moved: 2,
            ..AT_WORK
        })
        .await;
        assert!(well(&health));
        looks(&health, 1, |_| Look {
            moved: 2,
            at_work: false,
            ..AT_WORK
        })
        .await;
        looks(&health, 19, |_| Look {
            moved: 2,
            ..AT_WORK
        })
        .await;
        assert!(well(&health));
    }

    #[tokio::test(start_paused = true)]
    async fn a_process_that_was_stopped_counts_anew_and_so_does_one_that_cannot_look() {
        let health = Health::default();
        looks(&health, 4, |_| Look {
            at_work: true,
            ..WAITS
        })
        .await;
        tokio::time::advance(Duration::from_hours(1)).await;
        health.turned(true);
        health.looked(Look {
            at_work: true,
            ..WAITS
        });
        looks(&health, 4, |_| Look {
            at_work: true,
            ..WAITS
        })
        .await;
        assert!(well(&health));
    }

    #[tokio::test]
    async fn a_dead_task_is_an_illness() {
        let health = Health::default();
        let lives = tokio::spawn(std::future::pending::<()>());
        let dies = tokio::spawn(async {});
        health.needs("looks", lives.abort_handle());
        health.needs("probes", dies.abort_handle());
        dies.await.unwrap();
        assert_eq!(health.because(), ["the task that probes is dead"]);
        lives.abort();
    }
}
