//! The model: two workers, one user, everything that can go wrong between any two of their acts. It runs
//! [`decide`] and [`disposition`], and so the product's own transitions and order; what it makes up is
//! the world around them: broker, Redis, S3 and CXone, one atomic act at a time.

use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::Duration;

use jiff::Timestamp;
use stateright::{Checker as _, Model, Property};

use crate::failure::{Class, Code, Failure, Reason};
use crate::job::Source;
use crate::job::{Job, Request, UserId};
use crate::limits::DeletePolicy;
use crate::machine::{
    AccessRemoved, Archive, Beginning, Checkpoint, Deletion, DeletionOutcome, Effect, Event,
    ManifestRef, PriorEvidence, QueuesCleared, Recording, RetryPolicy, Seal, Sealing, State,
    StateName,
};
use crate::steps::Interrupt;
use crate::worker::run::decide::{Act, Circumstances, decide};
use crate::worker::settle::settlement::{Disposition, disposition};

const NOW: Timestamp = Timestamp::UNIX_EPOCH;

/// How often each thing may go wrong in one history.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Budget {
    crashes: u8,
    forgets: u8,
    expiries: u8,
    duplicates: u8,
    lost_replies: u8,
    /// Somebody writes a checkpoint of an archived user into Redis, where workers have no key.
    forgeries: u8,
}

/// A rule of the order, broken on purpose: the model has to find each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rule {
    SaveBeforeWhatFollows,
    PublishBeforeAcknowledging,
    LookBackFirst,
    SaveComparesTheLease,
    ReadAgainBeforeTheDeletion,
}

struct Offboarding {
    budget: Budget,
    refused: bool,
    broken: Option<Rule>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "what is and what is not: independent facts"
)]
struct World {
    has_queues: bool,
    active: bool,
    exists: bool,
    deletions: u8,
    archive: bool,
    seal: Option<PriorEvidence>,
    manifest: Option<PriorEvidence>,
    redis: Option<(u8, Checkpoint)>,
    lease: Option<u8>,
    /// Messages in the queues: access, archive.
    queued: [u8; 2],
    dead: u8,
    workers: [Worker; 2],
    budget: Budget,
    intent_was_saved: bool,
    forged: bool,
    /// The first promise that was broken.
    wrong: Option<&'static str>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Worker {
    Idle,
    Visiting {
        source: usize,
        owner: u8,
        version: u8,
        checkpoint: Box<Checkpoint>,
        acts: VecDeque<Act>,
        read: bool,
    },
    Settling {
        source: usize,
        acts: VecDeque<Settle>,
    },
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Settle {
    Publish(usize),
    DeadLetter,
    Acknowledge,
    SaveLate(u8, u8, Box<Checkpoint>),
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Action {
    Take(usize, usize),
    Go(usize),
    LoseReply(usize),
    Crash(usize),
    ExpireLease,
    ForgetAll,
    Duplicate,
    Forge,
}

/// Who has the lease; those who lost it are all alike, and none ever gets it back.
const OWNER: u8 = 1;
const LATE: u8 = 0;

const SOURCES: [Source; 2] = [Source::Users, Source::Archive];

fn user() -> UserId {
    "3f1f0d4e-9a51-4b4b-8f6c-1f9a4f9b7c11".parse().unwrap()
}

fn job(source: usize) -> Job {
    let lane = SOURCES[source].lane();
    Job {
        user_id: user(),
        request: Request::default(),
        lane,
        revision: None,
        stands_in_since: None,
        continuation: false,
    }
}

fn archive() -> Archive {
    Archive {
        location: String::new(),
        key: String::new(),
        version_id: None,
        bytes: 1,
        conversations: 1,
        pages: 1,
        sha256: String::new(),
        date_from: NOW,
        date_to: NOW,
        retention: None,
        etag: None,
        crc32c: None,
        quiet_until: None,
    }
}

impl Offboarding {
    fn circumstances<'a>(job: &'a Job, retry: &'a RetryPolicy) -> Circumstances<'a> {
        Circumstances {
            job,
            delete: DeletePolicy::Attempt,
            retry,
            jitter: 0.0,
            now: NOW,
        }
    }

    fn decide(&self, checkpoint: &mut Checkpoint, event: Event, source: usize) -> VecDeque<Act> {
        let (job, retry) = (
            job(source),
            RetryPolicy {
                max_attempts: 99,
                base: Duration::ZERO,
                cap: Duration::ZERO,
            },
        );
        let mut acts = decide(
            checkpoint,
            event,
            Vec::new(),
            &Self::circumstances(&job, &retry),
        );
        if self.broken == Some(Rule::SaveBeforeWhatFollows) {
            acts.reverse();
        }
        acts.into()
    }

    /// One effect on the world, after the product's steps: read, write only what is missing, read back.
    fn perform(&self, world: &mut World, checkpoint: &Checkpoint, effect: &Effect) -> Event {
        let traces = |state: State| PriorEvidence {
            revision: checkpoint.revision,
            set: checkpoint.set,
            previous: None,
            request: checkpoint.request.clone(),
            steps: checkpoint.steps.clone(),
            state,
        };
        let found = |traces: &PriorEvidence| Event::PriorEvidenceFound(Box::new(traces.clone()));
        let missed = Event::NoPriorEvidence(Beginning {
            revision: 1,
            previous: None,
        });
        match effect {
            Effect::LookBack if self.broken == Some(Rule::LookBackFirst) => missed,
            Effect::LookBack => world
                .manifest
                .as_ref()
                .or(world.seal.as_ref())
                .map_or(missed, found),
            Effect::LookAgain if world.exists && world.active => Event::UserReturned,
            Effect::LookAgain => Event::UserStayedAway,
            Effect::ClearQueues if !world.exists => Event::UserNotFound,
            Effect::ClearQueues => {
                world.has_queues = false;
                Event::QueuesCleared(QueuesCleared {
                    confirmed: true,
                    residual: Vec::new(),
                })
            }
            Effect::Deactivate => {
                world.expect(
                    !world.has_queues || !world.exists,
                    "I3: deactivated before its queues were cleared",
                );
                world.active = false;
                let queues = QueuesCleared {
                    confirmed: true,
                    residual: Vec::new(),
                };
                Event::UserDeactivated(AccessRemoved {
                    queues,
                    scim_active: Some(false),
                    at: NOW,
                })
            }
            Effect::Archive => {
                world.expect(
                    !world.active || world.forged,
                    "I3: archived before the access was gone",
                );
                world.expect(
                    world.exists || world.archive,
                    "I1: an empty archive, of a user that we deleted",
                );
                world.archive = true;
                Event::ArchiveStored(archive())
            }
            Effect::Seal | Effect::Delete { maybe_sent: true } | Effect::Record
                if world.exists
                    && (world.active
                        || world.has_queues
                        || checkpoint.state.name() == StateName::Deleted)
                    && self.broken != Some(Rule::ReadAgainBeforeTheDeletion) =>
            {
                Event::AccessReturned
            }
            Effect::Seal => match (&world.manifest, &world.seal) {
                (Some(stored), _) | (None, Some(stored)) => found(stored),
                (None, None) => {
                    let State::Archived {
                        access, archive, ..
                    } = &checkpoint.state
                    else {
                        return failed(Class::Defect);
                    };
                    let seal = Seal {
                        key: String::new(),
                        at: NOW,
                    };
                    world.seal = Some(traces(State::Archived {
                        access: access.clone(),
                        archive: archive.clone(),
                        sealing: Sealing::Sealed { seal: seal.clone() },
                    }));
                    Event::EvidenceSealed(seal)
                }
            },
            Effect::Delete { maybe_sent } => {
                if *maybe_sent && let Some(manifest) = &world.manifest {
                    return found(manifest);
                }
                let outcome = if *maybe_sent {
                    DeletionOutcome::Deleted
                } else {
                    DeletionOutcome::AlreadyGone
                };
                if !world.exists {
                    return Event::UserDeleted(Deletion::without_call(outcome));
                }
                world.expect(
                    world.archive && world.seal.is_some(),
                    "I1: a DELETE without archive or seal",
                );
                world.expect(
                    !world.active && !world.has_queues,
                    "I12: a DELETE of a user who has access",
                );
                world.expect(
                    world.intent_was_saved,
                    "I1: a DELETE before its intent was saved",
                );
                if self.refused {
                    return Event::DeletionWithheld(Deletion::without_call(
                        DeletionOutcome::Refused,
                    ));
                }
                world.exists = false;
                world.deletions += 1;
                Event::UserDeleted(Deletion::without_call(DeletionOutcome::Deleted))
            }
            Effect::Record => world.record(checkpoint, traces),
            Effect::ConfirmDeletion
            | Effect::Withhold(_)
            | Effect::Wait(_)
            | Effect::DeadLetter(_)
            | Effect::Finish => failed(Class::Defect),
        }
    }

    /// One act of one worker.
    fn go(&self, world: &mut World, index: usize, reply_is_lost: bool) {
        let mut worker = std::mem::replace(&mut world.workers[index], Worker::Idle);
        match &mut worker {
            Worker::Idle => {}
            Worker::Settling { acts, .. } => match acts.pop_front() {
                Some(Settle::Publish(to)) => world.queued[to] += 1,
                Some(Settle::DeadLetter) => world.dead += 1,
                Some(Settle::SaveLate(owner, version, checkpoint)) => {
                    world.save(owner, version, &checkpoint, self.broken);
                }
                Some(Settle::Acknowledge) => {
                    world.expect(
                        world.manifest.is_some()
                            || world.dead > 0
                            || world.jobs() > 0
                            || !acts.is_empty()
                            || world.others_hold(index),
                        "I4: a job vanished",
                    );
                    if acts.is_empty() {
                        return;
                    }
                }
                None => return,
            },
            Worker::Visiting {
                source,
                owner,
                version,
                checkpoint,
                acts,
                read,
            } => match acts.pop_front() {
                Some(Act::Save) => {
                    if let Some(saved) = world.save(*owner, *version, checkpoint, self.broken) {
                        *version = saved;
                    } else {
                        let acts = self.settlement(Err(Interrupt::LeaseLost), *source, None);
                        worker = Worker::Settling {
                            source: *source,
                            acts,
                        };
                    }
                }
                // What was read may be old news when the DELETE goes out.
                Some(Act::Perform(effect @ Effect::Delete { .. })) if !*read && world.exists => {
                    *read = true;
                    acts.push_front(Act::Perform(effect));
                }
                Some(Act::Perform(effect)) => {
                    *read = false;
                    let event = self.perform(world, checkpoint, &effect);
                    let event = if reply_is_lost {
                        failed(Class::UnknownOutcome)
                    } else {
                        event
                    };
                    let rest = std::mem::take(acts);
                    *acts = rest
                        .into_iter()
                        .chain(self.decide(checkpoint, event, *source))
                        .collect();
                }
                Some(Act::End(outcome)) => {
                    if world.lease == Some(*owner) {
                        world.lease = None;
                    }
                    let late = acts
                        .contains(&Act::Save)
                        .then(|| Settle::SaveLate(*owner, *version, checkpoint.clone()));
                    worker = Worker::Settling {
                        source: *source,
                        acts: self.settlement(Ok(outcome), *source, late),
                    };
                }
                None => return,
            },
        }
        world.workers[index] = worker;
    }

    fn settlement(
        &self,
        visit: Result<super::Outcome, Interrupt>,
        source: usize,
        late: Option<Settle>,
    ) -> VecDeque<Settle> {
        let place = |wanted: Source| {
            SOURCES
                .iter()
                .position(|source| *source == wanted)
                .unwrap_or(0)
        };
        let mut acts = VecDeque::new();
        match disposition(visit, user(), SOURCES[source], NOW) {
            Disposition::Acknowledge | Disposition::Finish(..) => {}
            Disposition::Forward(next) | Disposition::Reissue { source: next, .. } => {
                acts.push_back(Settle::Publish(place(next)));
            }
            Disposition::Park { .. } | Disposition::GiveBack => {
                acts.push_back(Settle::Publish(source));
            }
            Disposition::DeadLetter(_) => acts.push_back(Settle::DeadLetter),
        }
        if self.broken == Some(Rule::PublishBeforeAcknowledging) {
            acts.push_front(Settle::Acknowledge);
        } else {
            acts.push_back(Settle::Acknowledge);
        }
        acts.extend(late);
        acts
    }
}

fn failed(class: Class) -> Event {
    Event::StepFailed(Failure::new(class, Code::CxoneUnreachable, ""))
}

impl World {
    fn expect(&mut self, holds: bool, promise: &'static str) {
        if !holds {
            self.wrong.get_or_insert(promise);
        }
    }

    /// Histories that differ in numbers and names alone are one: which of the workers it is, how many had the
    /// lease before, how often was saved. What is compared later stays as it compares now.
    fn simplify(&mut self) {
        let stored = self.redis.as_ref().map_or(0, |(version, _)| *version);
        let known = |version: u8| u8::from(version > 0);
        // One whose version is not the stored one is kept apart from one whose version is.
        let relabel = |owner: &mut u8, version: &mut u8| {
            (*owner, *version) = match (self.lease == Some(*owner), *version == stored) {
                (true, true) => (OWNER, known(stored)),
                (true, false) => (OWNER, 2),
                (false, _) => (LATE, 0),
            };
        };
        for worker in &mut self.workers {
            match worker {
                Worker::Idle => {}
                Worker::Visiting { owner, version, .. } => relabel(owner, version),
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

    /// Messages that are in a queue or unacknowledged in a hand.
    fn jobs(&self) -> u8 {
        self.queued.iter().sum()
    }

    fn others_hold(&self, index: usize) -> bool {
        self.workers
            .iter()
            .enumerate()
            .any(|(other, worker)| other != index && worker.holds())
    }

    fn save(
        &mut self,
        owner: u8,
        expected: u8,
        checkpoint: &Checkpoint,
        broken: Option<Rule>,
    ) -> Option<u8> {
        let stored = self.redis.as_ref().map_or(0, |(version, _)| *version);
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

    fn record(
        &mut self,
        checkpoint: &Checkpoint,
        traces: impl Fn(State) -> PriorEvidence,
    ) -> Event {
        let manifest = ManifestRef {
            key: String::new(),
            sha256: String::new(),
        };
        let mut state = checkpoint.state.clone();
        let (says_deleted, outcome) = match &mut state {
            State::Deleted {
                recording,
                deletion,
                ..
            } => {
                *recording = Recording::Recorded {
                    manifest: manifest.clone(),
                };
                (true, deletion.outcome)
            }
            State::DeactivatedOnly {
                recording,
                deletion,
                ..
            } => {
                *recording = Recording::Recorded {
                    manifest: manifest.clone(),
                };
                (false, deletion.outcome)
            }
            State::Received
            | State::QueuesCleared { .. }
            | State::Deactivated { .. }
            | State::Archived { .. } => return failed(Class::Defect),
        };
        self.expect(
            says_deleted || !self.active,
            "I12: a manifest of a user who has access",
        );
        self.expect(
            says_deleted != self.exists,
            "I5: the manifest does not say what is",
        );
        self.expect(
            outcome != DeletionOutcome::AlreadyGone,
            "I5: our own deletion is called somebody else's",
        );
        let states: Vec<StateName> = checkpoint.steps.iter().map(|step| step.state).collect();
        let way = [
            StateName::QueuesCleared,
            StateName::Deactivated,
            StateName::Archived,
            state.name(),
        ];
        self.expect(
            states == way,
            "I5: the manifest does not tell every step, in order",
        );
        match &self.manifest {
            Some(stored) if stored.state.name() != state.name() => {
                self.expect(false, "I5: two manifests that contradict each other");
                failed(Class::Permanent(Reason::ArchiveConflict))
            }
            Some(_) => Event::ManifestStored(manifest),
            None => {
                self.manifest = Some(traces(state));
                Event::ManifestStored(manifest)
            }
        }
    }
}

fn fingerprint(worker: &Worker) -> u64 {
    let mut hasher = DefaultHasher::new();
    worker.hash(&mut hasher);
    hasher.finish()
}

impl Worker {
    fn holds(&self) -> bool {
        match self {
            Self::Idle => false,
            Self::Visiting { .. } => true,
            Self::Settling { acts, .. } => acts.contains(&Settle::Acknowledge),
        }
    }

    const fn source(&self) -> usize {
        match self {
            Self::Idle => 0,
            Self::Visiting { source, .. } | Self::Settling { source, .. } => *source,
        }
    }
}

impl Model for Offboarding {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        vec![World {
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
            budget: self.budget.clone(),
            intent_was_saved: false,
            forged: false,
            wrong: None,
        }]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        for (index, worker) in world.workers.iter().enumerate() {
            match worker {
                // A worker that finds the lease taken parks the job, which changes nothing.
                Worker::Idle if world.lease.is_none() => {
                    let sources = (0..2).filter(|source| world.queued[*source] > 0);
                    actions.extend(sources.map(|source| Action::Take(index, source)));
                }
                Worker::Idle => {}
                Worker::Visiting { acts, .. } => {
                    actions.push(Action::Go(index));
                    let writes = matches!(
                        acts.front(),
                        Some(Act::Perform(
                            Effect::ClearQueues
                                | Effect::Deactivate
                                | Effect::Delete { .. }
                                | Effect::Record
                        ))
                    );
                    if writes && world.budget.lost_replies > 0 {
                        actions.push(Action::LoseReply(index));
                    }
                }
                Worker::Settling { .. } => actions.push(Action::Go(index)),
            }
            if *worker != Worker::Idle && world.budget.crashes > 0 {
                actions.push(Action::Crash(index));
            }
        }
        if world.lease.is_some() && world.budget.expiries > 0 {
            actions.push(Action::ExpireLease);
        }
        if world.budget.forgets > 0 && (world.redis.is_some() || world.lease.is_some()) {
            actions.push(Action::ForgetAll);
        }
        if world.budget.duplicates > 0 {
            actions.push(Action::Duplicate);
        }
        if world.budget.forgeries > 0 && world.lease.is_none() && world.archive == world.forged {
            actions.push(Action::Forge);
        }
    }

    fn next_state(&self, world: &World, action: Action) -> Option<World> {
        let mut world = world.clone();
        match action {
            Action::Take(index, source) => {
                world.queued[source] -= 1;
                let owner = OWNER;
                world.lease = Some(owner);
                let (version, mut checkpoint) = match &world.redis {
                    Some((version, checkpoint)) => (*version, checkpoint.clone()),
                    None => (0, Checkpoint::new(user(), Request::default(), NOW)),
                };
                let acts = self.decide(&mut checkpoint, Event::Resumed, source);
                let checkpoint = Box::new(checkpoint);
                world.workers[index] = Worker::Visiting {
                    source,
                    owner,
                    version,
                    checkpoint,
                    acts,
                    read: false,
                };
            }
            Action::Go(index) => self.go(&mut world, index, false),
            Action::LoseReply(index) => {
                world.budget.lost_replies -= 1;
                self.go(&mut world, index, true);
            }
            Action::Crash(index) => {
                world.budget.crashes -= 1;
                let worker = std::mem::replace(&mut world.workers[index], Worker::Idle);
                if worker.holds() {
                    world.queued[worker.source()] += 1;
                }
                // A dead worker's lease runs out before anything else can happen to the user.
                if let Worker::Visiting { owner, .. } = worker
                    && world.lease == Some(owner)
                {
                    world.lease = None;
                }
            }
            Action::ExpireLease => {
                world.budget.expiries -= 1;
                world.lease = None;
            }
            Action::ForgetAll => {
                world.budget.forgets -= 1;
                (world.redis, world.lease) = (None, None);
            }
            Action::Duplicate => {
                world.budget.duplicates -= 1;
                world.queued[0] += 1;
            }
            Action::Forge => {
                world.budget.forgeries -= 1;
                world.forged = true;
                let version = world.redis.as_ref().map_or(1, |(version, _)| version + 1);
                world.redis = Some((version, forged()));
            }
        }
        let quiet = world.jobs() == 0 && world.workers.iter().all(|worker| *worker == Worker::Idle);
        if quiet {
            world.expect(
                world.manifest.is_some(),
                "I4: nothing is left to do, and there is no manifest",
            );
            world.expect(
                world.dead == 0,
                "I4: a user who can be off-boarded became a dead letter",
            );
        }
        world.expect(world.deletions <= 1, "I3: deleted twice");
        world.simplify();
        Some(world)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("every promise", |_, world: &World| world.wrong.is_none()),
            Property::sometimes("an end", |_, world: &World| {
                world.manifest.is_some() && world.jobs() == 0
            }),
        ]
    }
}

/// What somebody writes who can write Redis: the access is gone, and only the archive is still to be made.
fn forged() -> Checkpoint {
    let queues = QueuesCleared {
        confirmed: true,
        residual: Vec::new(),
    };
    let access = AccessRemoved {
        queues,
        scim_active: Some(false),
        at: NOW,
    };
    let mut checkpoint = Checkpoint::new(user(), Request::default(), NOW);
    checkpoint.advance(
        State::QueuesCleared {
            queues: access.queues.clone(),
        },
        Vec::new(),
        NOW,
    );
    checkpoint.advance(State::Deactivated { access }, Vec::new(), NOW);
    checkpoint
}

fn everything() -> Budget {
    Budget {
        crashes: 2,
        forgets: 1,
        expiries: 1,
        duplicates: 1,
        lost_replies: 1,
        forgeries: 0,
    }
}

fn forgery() -> Budget {
    Budget {
        crashes: 1,
        expiries: 0,
        lost_replies: 0,
        forgeries: 1,
        ..everything()
    }
}

fn check(budget: Budget, refused: bool) {
    let begun = std::time::Instant::now();
    let checked = Offboarding {
        budget,
        refused,
        broken: None,
    }
    .checker()
    .threads(2)
    .spawn_bfs()
    .join();
    eprintln!(
        "{} states in {:?}",
        checked.unique_state_count(),
        begun.elapsed()
    );
    if let Some(path) = checked.discovery("every promise") {
        let wrong = path.last_state().wrong;
        panic!("{wrong:?} after {:?}", path.into_actions());
    }
    checked.assert_any_discovery("an end");
}

#[test]
fn every_promise_holds_in_every_history_of_a_user_who_is_deleted() {
    check(everything(), false);
}

#[test]
fn every_promise_holds_in_every_history_of_a_user_whose_deletion_is_refused() {
    check(
        Budget {
            crashes: 1,
            ..everything()
        },
        true,
    );
}

#[test]
fn no_forged_checkpoint_leads_to_the_deletion_of_a_user_who_has_access() {
    check(forgery(), false);
}

#[test]
fn the_model_finds_a_deletion_that_believes_a_forged_checkpoint() {
    let wrong = found_within(forgery(), Rule::ReadAgainBeforeTheDeletion);
    assert!(wrong.starts_with("I12"), "{wrong}");
}

/// The shortest history that breaks a promise, once a rule is broken.
fn found(rule: Rule) -> &'static str {
    found_within(everything(), rule)
}

fn found_within(budget: Budget, rule: Rule) -> &'static str {
    let checked = Offboarding {
        budget,
        refused: false,
        broken: Some(rule),
    }
    .checker()
    .threads(2)
    .spawn_bfs()
    .join();
    let path = checked
        .discovery("every promise")
        .unwrap_or_else(|| panic!("{rule:?} was broken, and nobody noticed"));
    path.last_state().wrong.unwrap_or_default()
}

#[test]
fn the_model_finds_a_save_that_comes_after_what_follows_from_it() {
    assert!(
        found(Rule::SaveBeforeWhatFollows).starts_with("I1: a DELETE"),
        "{}",
        found(Rule::SaveBeforeWhatFollows)
    );
}

#[test]
fn the_model_finds_an_acknowledgement_that_comes_before_its_successor() {
    assert!(found(Rule::PublishBeforeAcknowledging).starts_with("I4"));
}

#[test]
fn the_model_finds_a_run_that_does_not_look_back() {
    let wrong = found(Rule::LookBackFirst);
    assert!(
        wrong.starts_with("I4") || wrong.starts_with("I1") || wrong.starts_with("I5"),
        "{wrong}"
    );
}

#[test]
fn the_model_finds_a_save_that_does_not_look_at_the_lease() {
    assert!(found(Rule::SaveComparesTheLease).starts_with("I6"));
}
