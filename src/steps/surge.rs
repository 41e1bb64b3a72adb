//! Notices that this release fails for one user after the other, before they become dead letters.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use parking_lot::Mutex;

use crate::clock::Clock;
use crate::failpoint;
use crate::failure::{Class, Code, Failure};
use crate::job::{Lane, UserId};
use crate::ports::{SURGE_WINDOW, SurgeCount, SurgeHit, Surges};
use crate::queue::fingerprint;

/// As many different users with one fault are no longer faults of users, unless as many got through.
const SURGE_USERS: u64 = 5;
/// The step of a user whose checkpoint cannot be read.
pub(crate) const CLAIM: &str = "claim";
/// The step of what fails between steps: a run that ends without a panic got through.
pub(crate) const RUN: &str = "run";

/// A user who is about to be given up.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AboutToFail<'a> {
    pub(crate) user_id: UserId,
    pub(crate) lane: Lane,
    pub(crate) step: &'static str,
    pub(crate) code: Code,
    pub(crate) error: &'a str,
}

/// What becomes of that user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SurgeVerdict {
    /// It is the user's own fault.
    GiveUp,
    /// The job waits for another release, and this one works on.
    Wait(Failure),
    /// The job waits, and so do all of its lane on this release.
    StopLane(Failure),
}

/// Counts who fails and who gets through. Who fails is counted in Redis for all workers of the release, and in this
/// process, which is what counts while Redis is away. Who gets through is counted in this process only, and written to Redis
/// with the next failure: it costs no round trip.
pub(crate) struct SurgeWatch {
    shared: Arc<dyn Surges>,
    clock: Clock,
    release: &'static str,
    worker: String,
    surge_users: u64,
    own: Mutex<Own>,
}

#[derive(Default)]
struct Own {
    /// For each step and fingerprint: the users, and when they last failed.
    failed: HashMap<(&'static str, String), HashMap<UserId, Timestamp>>,
    /// For each step: how many got through, by minutes since 1970.
    passed: HashMap<&'static str, VecDeque<(i64, u64)>>,
    /// What stopped each lane, until its breaker is closed.
    stopped: Vec<Stopped>,
    /// The lift that was seen last; `None` before Redis was asked.
    lifted: Option<u64>,
    /// It was seen, and [`SurgeWatch::was_lifted`] has not said so yet.
    is_lifted: bool,
}

struct Stopped {
    lane: Lane,
    step: &'static str,
    fingerprint: String,
    /// A user has got through this step since.
    passed: bool,
}

impl SurgeWatch {
    pub(crate) fn new(shared: Arc<dyn Surges>, clock: Clock, worker: &str) -> Self {
        Self {
            shared,
            clock,
            release: failpoint::release(),
            worker: worker.to_owned(),
            surge_users: failpoint::surge_users(SURGE_USERS),
            own: Mutex::default(),
        }
    }

    /// A user got through this step.
    pub(crate) fn passed(&self, step: &'static str) {
        let minute = minute_of(self.clock.now());
        let mut own = self.own.lock();
        for stopped in own.stopped.iter_mut().filter(|one| one.step == step) {
            stopped.passed = true;
        }
        let minutes = own.passed.entry(step).or_default();
        match minutes.back_mut() {
            Some((last, users)) if *last == minute => *users += 1,
            Some(_) | None => minutes.push_back((minute, 1)),
        }
        drop_before(minutes, minute);
    }

    /// Whether a user has got through the step that stopped this lane, so that the lane may continue.
    pub(crate) fn is_over(&self, lane: Lane) -> bool {
        let mut own = self.own.lock();
        let is_over = own.stopped.iter().any(|one| one.lane == lane && one.passed);
        if is_over {
            own.stopped.retain(|one| one.lane != lane);
        }
        is_over
    }

    /// Counts a user who is about to be given up, and says what to do instead, if anything.
    pub(crate) async fn judge(&self, failing: AboutToFail<'_>) -> SurgeVerdict {
        // What was said of one user, by the list of IDs, by the tenant's own answer or by a guard: not by this release.
        if matches!(failing.code, Code::UserNotFound | Code::ProtectedUser) {
            return SurgeVerdict::GiveUp;
        }
        let fingerprint = fingerprint(failing.code.as_str(), failing.step, failing.error);
        let count = self.count(failing, &fingerprint).await;
        let is_probe = self.is_stopped(failing, &fingerprint);
        if count.failed < self.surge_users && !is_probe {
            return SurgeVerdict::GiveUp;
        }

        let SurgeCount { failed, passed, .. } = count;
        let step = failing.step;
        let release = self.release;
        let lane = failing.lane.as_str();
        let text = format!(
            "surge: release {release} was about to give up {failed} users within 10 min with one fault at the step {step} \
             (fingerprint {fingerprint}), and {passed} got through; the lane {lane} takes one user a minute until one gets \
             through: roll back, or `offboarder surge lift`; the fault: {}",
            failing.error
        );
        let failure = Failure::new(Class::Systemic, Code::Surge, text);
        if is_probe || passed < failed {
            let mut own = self.own.lock();
            own.stopped.retain(|one| one.lane != failing.lane);
            own.stopped.push(Stopped {
                lane: failing.lane,
                step,
                fingerprint,
                passed: false,
            });
            return SurgeVerdict::StopLane(failure);
        }
        match failing.code {
            // However many others get through: a later release can read it, and this one never will.
            Code::CheckpointUnreadable => SurgeVerdict::Wait(Failure {
                text: failing.error.to_owned(),
                ..failure
            }),
            _ => SurgeVerdict::GiveUp,
        }
    }

    /// Whether an operator lifted the surges of this release since this was asked last.
    pub(crate) async fn was_lifted(&self) -> Result<bool, Failure> {
        let lifted = self.shared.lifted(self.release).await?;
        let mut own = self.own.lock();
        own.see_lift(lifted);
        Ok(std::mem::take(&mut own.is_lifted))
    }

    /// Whether this fault stopped the lane, and no one has got through since.
    fn is_stopped(&self, failing: AboutToFail<'_>, fingerprint: &str) -> bool {
        self.own.lock().stopped.iter().any(|one| {
            let is_same = one.step == failing.step && one.fingerprint == fingerprint;
            is_same && one.lane == failing.lane && !one.passed
        })
    }

    async fn count(&self, failing: AboutToFail<'_>, fingerprint: &str) -> SurgeCount {
        let now = self.clock.now();
        let minutes: Vec<(i64, u64)> = {
            let mut own = self.own.lock();
            let minutes = own.passed.entry(failing.step).or_default();
            drop_before(minutes, minute_of(now));
            minutes.iter().copied().collect()
        };
        let hit = SurgeHit {
            release: self.release,
            step: failing.step,
            fingerprint,
            user_id: failing.user_id,
            surge_users: self.surge_users,
            worker: &self.worker,
            passed: &minutes,
        };
        let shared = self.shared.count(&hit).await;

        let mut own = self.own.lock();
        let shared = match shared {
            Ok(shared) => {
                own.see_lift(shared.lifted);
                Some(shared)
            }
            Err(failure) => {
                tracing::warn!(%failure, "a surge is counted by this worker for itself");
                None
            }
        };
        let own_passed = minutes.iter().map(|(_, users)| users).sum();
        let own_failed = own.fail(failing, fingerprint, now);
        SurgeCount {
            failed: shared.map_or(0, |shared| shared.failed).max(own_failed),
            passed: shared.map_or(0, |shared| shared.passed).max(own_passed),
            lifted: own.lifted.unwrap_or(0),
        }
    }
}

impl Own {
    /// Counts this user, and answers with how many there are now.
    fn fail(&mut self, failing: AboutToFail<'_>, fingerprint: &str, now: Timestamp) -> u64 {
        let window = SignedDuration::try_from(SURGE_WINDOW).unwrap_or_default();
        self.failed.retain(|_, users| {
            users.retain(|_, at| now.duration_since(*at) < window);
            !users.is_empty()
        });
        let key = (failing.step, fingerprint.to_owned());
        let users = self.failed.entry(key).or_default();
        users.insert(failing.user_id, now);
        users.len() as u64
    }

    fn see_lift(&mut self, lifted: u64) {
        let before = self.lifted.replace(lifted);
        // A Redis that lost its data lifts nothing.
        if before.is_some_and(|seen| lifted > seen) {
            self.failed.clear();
            self.stopped.clear();
            self.is_lifted = true;
        }
    }
}

fn minute_of(now: Timestamp) -> i64 {
    now.as_second().div_euclid(60)
}

/// Drops what is older than [`SURGE_WINDOW`].
fn drop_before(minutes: &mut VecDeque<(i64, u64)>, now: i64) {
    let kept = i64::try_from(SURGE_WINDOW.as_secs() / 60).unwrap_or_default();
    while minutes
        .front()
        .is_some_and(|(minute, _)| *minute <= now - kept)
    {
        minutes.pop_front();
    }
}

#[cfg(test)]
#[path = "surge_tests.rs"]
mod tests;
