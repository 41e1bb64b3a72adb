//! The world around the product: broker, Redis, archive store and CXone, and who works on the user.

use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use jiff::Timestamp;

use super::broken_rules::Rule;
use crate::job::{Job, Request, Source, UserId};
use crate::machine::{Checkpoint, PriorEvidence, Sealing, State};
use crate::manifest::Fate;
use crate::worker::run::Outcome;
use crate::worker::run::commands::Command;
use crate::worker::settle::settlement::Settlement;

pub(super) const NOW: Timestamp = Timestamp::UNIX_EPOCH;

/// The worker that has the lease. All workers that lost it are alike, and none gets it back.
pub(super) const OWNER: u8 = 1;
const LATE: u8 = 0;

pub(super) const SOURCES: [Source; 2] = [Source::Users, Source::Archive];

/// How often each thing may go wrong in one history.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Budget {
    pub(super) crashes: u8,
    pub(super) forgets: u8,
    pub(super) expiries: u8,
    pub(super) duplicates: u8,
    pub(super) lost_replies: u8,
    /// An operator cancels the request.
    pub(super) cancellations: u8,
    /// An operator reactivates the user, of whom a before-image is stored.
    pub(super) reactivations: u8,
    /// Somebody writes a checkpoint of an archived user into Redis, where workers have no key.
    pub(super) forgeries: u8,
    /// Somebody gives the access back to a user who waits archived.
    pub(super) hires: u8,
    /// Nobody has approved the deletion at first, and persons approve and revoke in turn. Without any, no approval is needed.
    pub(super) decisions: u8,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an independent fact about the world"
)]
pub(super) struct World {
    pub(super) has_queues: bool,
    pub(super) active: bool,
    pub(super) exists: bool,
    pub(super) deletions: u8,
    pub(super) archive: bool,
    pub(super) seal: Option<PriorEvidence>,
    pub(super) manifest: Option<PriorEvidence>,
    /// The version and the checkpoint.
    pub(super) redis: Option<(u8, Checkpoint)>,
    pub(super) lease: Option<u8>,
    /// Messages in the queues: access, archive.
    pub(super) queued: [u8; 2],
    pub(super) dead: u8,
    pub(super) workers: [Worker; 2],
    pub(super) budget: Budget,
    pub(super) intent_was_saved: bool,
    pub(super) forged: bool,
    /// The order is stored.
    pub(super) cancelled: bool,
    /// A before-image is stored, so that a worker decides before its DELETE.
    pub(super) has_image: bool,
    /// An operator reactivates the user, and may decide from now on.
    pub(super) reactivating: bool,
    pub(super) fate: Option<Fate>,
    /// The user got everything back.
    pub(super) given_back: bool,
    /// A second person approved the deletion, and nobody revoked it since.
    pub(super) approved: bool,
    /// What was approved is a plan, which saw the user.
    pub(super) has_plan: bool,
    /// The user got access back while waiting, so that no plan saw this user.
    pub(super) hired_again: bool,
    /// A worker stored that the user is not as the plan saw the user.
    pub(super) moved: bool,
    /// A run ended because of it.
    pub(super) dropped: bool,
    /// The event that says that the access is gone was published.
    pub(super) announced: bool,
    /// The first promise that was broken.
    pub(super) broken_promise: Option<&'static str>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Worker {
    Idle,
    Running {
        source: usize,
        owner: u8,
        version: u8,
        checkpoint: Box<Checkpoint>,
        acts: VecDeque<Act>,
        /// What the next DELETE relies on was read.
        read: bool,
        /// The order was stored when it was.
        too_late: bool,
        /// This run saw that the deletion is decided.
        decided: bool,
        /// The deletion was approved when it was.
        approved: bool,
    },
    Settling {
        source: usize,
        acts: VecDeque<Settle>,
    },
}

/// What the driver does, one atomic act at a time.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Act {
    Save,
    Do(Command),
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Settle {
    Publish(usize),
    DeadLetter,
    /// The event that says that the access is gone.
    Announce,
    Acknowledge,
    /// With a broken rule only: owner and version of a save that comes after the end of the run.
    SaveLate(u8, u8, Box<Checkpoint>),
}

pub(super) fn user() -> UserId {
    "3f1f0d4e-9a51-4b4b-8f6c-1f9a4f9b7c11".parse().unwrap()
}

pub(super) fn job(source: usize) -> Job {
    Job {
        user_id: user(),
        request: Request::default(),
        lane: SOURCES[source].lane(),
        revision: None,
        stands_in_since: None,
        continuation: false,
        admitted: true,
    }
}

pub(super) fn queue_of(wanted: Source) -> usize {
    SOURCES
        .iter()
        .position(|source| *source == wanted)
        .unwrap_or(0)
}

pub(super) fn crash(world: &mut World, index: usize) {
    world.budget.crashes -= 1;
    let worker = std::mem::replace(&mut world.workers[index], Worker::Idle);
    if worker.holds_delivery() {
        world.queued[worker.source()] += 1;
    }

    // A dead worker's lease expires before anything else can happen to the user.
    if let Worker::Running { owner, .. } = worker
        && world.lease == Some(owner)
    {
        world.lease = None;
    }
}

/// The product's own mapping.
pub(super) fn settled(outcome: &Outcome, source: usize) -> Settlement<'_> {
    Settlement {
        outcome,
        source: SOURCES[source],
        ended_at: NOW,
        finished_batch: None,
    }
}

impl World {
    /// One user with access, and one message that asks for its off-boarding.
    pub(super) const fn new(budget: Budget) -> Self {
        let approved = budget.decisions == 0;
        Self {
            has_queues: true,
            active: true,
            exists: true,
            deletions: 0,
            archive: false,
            seal: None,
            manifest: None,
            redis: None,
            lease: None,
            queued: [1, 0],
            dead: 0,
            workers: [Worker::Idle, Worker::Idle],
            intent_was_saved: false,
            forged: false,
            cancelled: false,
            has_image: budget.reactivations > 0,
            reactivating: false,
            fate: None,
            given_back: false,
            approved,
            has_plan: budget.hires > 0,
            hired_again: false,
            moved: false,
            dropped: false,
            announced: false,
            broken_promise: None,
            budget,
        }
    }

    pub(super) fn expect(&mut self, holds: bool, promise: &'static str) {
        if !holds {
            self.broken_promise.get_or_insert(promise);
        }
    }

    /// Messages that are in a queue.
    pub(super) fn queued_jobs(&self) -> u8 {
        self.queued.iter().sum()
    }

    pub(super) fn is_idle(&self) -> bool {
        self.workers.iter().all(|worker| *worker == Worker::Idle)
    }

    pub(super) const fn decide(&mut self) {
        self.budget.decisions -= 1;
        self.approved = !self.approved;
    }

    pub(super) const fn hire_again(&mut self) {
        self.budget.hires -= 1;
        self.active = true;
        self.hired_again = true;
    }

    /// Whether the user exists and waits with an archive. While a worker removes the access, access that is given back
    /// and access that is still there look the same.
    pub(super) fn waits_archived(&self) -> bool {
        let is_known = self.redis.as_ref().is_none_or(|(_, checkpoint)| {
            checkpoint.state.archive().is_some() || checkpoint.archived_before
        });
        self.archive && is_known && self.exists && self.is_idle()
    }

    pub(super) fn others_hold(&self, index: usize) -> bool {
        self.workers
            .iter()
            .enumerate()
            .any(|(other, worker)| other != index && worker.holds_delivery())
    }

    fn stored_version(&self) -> u8 {
        self.redis.as_ref().map_or(0, |(version, _)| *version)
    }

    /// The new version, unless the save is refused.
    pub(super) fn save(
        &mut self,
        owner: u8,
        expected: u8,
        checkpoint: &Checkpoint,
        broken: Option<Rule>,
    ) -> Option<u8> {
        let stored = self.stored_version();
        let blind = broken == Some(Rule::SaveComparesTheLease);
        if !blind && (self.lease != Some(owner) || stored != expected) {
            return None;
        }

        self.expect(
            self.lease == Some(owner),
            "I6: a worker without the lease saved",
        );
        if let State::Archived {
            sealing: Sealing::Sealed { .. },
            ..
        } = &checkpoint.state
        {
            self.intent_was_saved = true;
        }
        self.redis = Some((stored + 1, checkpoint.stored().into_owned()));
        Some(stored + 1)
    }

    /// Makes histories equal that differ only in numbers and names: which of the workers it is, how
    /// many had the lease before, how often a checkpoint was saved. What is compared later still
    /// compares as it does now.
    pub(super) fn simplify(&mut self) {
        let stored = self.stored_version();
        let lease = self.lease;
        let known = |version: u8| u8::from(version > 0);
        // A worker whose version is not the stored one stays apart from a worker whose version is.
        let relabel = |owner: &mut u8, version: &mut u8| {
            (*owner, *version) = match (lease == Some(*owner), *version == stored) {
                (true, true) => (OWNER, known(stored)),
                (true, false) => (OWNER, 2),
                (false, _) => (LATE, 0),
            };
        };

        for worker in &mut self.workers {
            match worker {
                Worker::Idle => {}
                Worker::Running { owner, version, .. } => relabel(owner, version),
                Worker::Settling { acts, .. } => {
                    for act in acts {
                        if let Settle::SaveLate(owner, version, _) = act {
                            relabel(owner, version);
                        }
                    }
                }
            }
        }

        if let Some((version, _)) = &mut self.redis {
            *version = known(*version);
        }
        let [one, other] = &self.workers;
        if fingerprint(one) > fingerprint(other) {
            self.workers.swap(0, 1);
        }
    }
}

fn fingerprint(worker: &Worker) -> u64 {
    let mut hasher = DefaultHasher::new();
    worker.hash(&mut hasher);
    hasher.finish()
}

impl Worker {
    /// Whether the worker has an unacknowledged delivery.
    pub(super) fn holds_delivery(&self) -> bool {
        match self {
            Self::Idle => false,
            Self::Running { .. } => true,
            Self::Settling { acts, .. } => acts.contains(&Settle::Acknowledge),
        }
    }

    pub(super) const fn source(&self) -> usize {
        match self {
            Self::Idle => 0,
            Self::Running { source, .. } | Self::Settling { source, .. } => *source,
        }
    }
}
