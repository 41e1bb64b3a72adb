//! Everything that can happen next, one atomic act at a time.

use std::collections::VecDeque;
use std::time::Duration;

use super::broken_rules::Rule;
use super::steps::{failed, forged, perform};
use super::world::{
    Act, Budget, NOW, OWNER, Settle, Worker, World, crash, job, queue_of, settled, user,
};
use crate::failure::Class;
use crate::job::Request;
use crate::limits::DeletePolicy;
use crate::machine::samples::cancelled;
use crate::machine::{Checkpoint, Event, RetryPolicy, Step};
use crate::manifest::Fate;
use crate::steps::Interrupt;
use crate::worker::run::Outcome;
use crate::worker::run::commands::{Command, Save};
use crate::worker::run::decide::{Circumstances, plan_commands};
use crate::worker::settle::settlement::Destination;

pub(super) struct Offboarding {
    pub(super) budget: Budget,
    /// The tenant refuses deletions.
    pub(super) refused: bool,
    pub(super) broken: Option<Rule>,
}

/// The number of a worker, or of a worker and a queue.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Action {
    Take(usize, usize),
    Proceed(usize),
    LoseReply(usize),
    Crash(usize),
    ExpireLease,
    ForgetAll,
    Duplicate,
    Forge,
    Cancel,
    Reactivate,
    Decide,
    GiveBack,
    /// A person approves, or revokes the approval.
    Approve,
    HireAgain,
}

const RETRY: RetryPolicy = RetryPolicy {
    max_attempts: 99,
    base: Duration::ZERO,
    cap: Duration::ZERO,
};

impl Offboarding {
    /// What may happen next.
    pub(super) fn possible(world: &World, actions: &mut Vec<Action>) {
        for (index, worker) in world.workers.iter().enumerate() {
            match worker {
                // A worker that finds the lease taken delays the job, which changes nothing.
                Worker::Idle if world.lease.is_none() => {
                    let sources = (0..2).filter(|source| world.queued[*source] > 0);
                    actions.extend(sources.map(|source| Action::Take(index, source)));
                }
                Worker::Idle => {}
                Worker::Running { acts, .. } => {
                    actions.push(Action::Proceed(index));
                    let writes = matches!(
                        acts.front(),
                        Some(Act::Do(Command::Perform(
                            Step::ClearQueues
                                | Step::Deactivate
                                | Step::Delete { .. }
                                | Step::Record
                        )))
                    );
                    if writes && world.budget.lost_replies > 0 {
                        actions.push(Action::LoseReply(index));
                    }
                }
                Worker::Settling { .. } => actions.push(Action::Proceed(index)),
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
        if world.budget.cancellations > 0 {
            actions.push(Action::Cancel);
        }
        if world.budget.reactivations > 0 {
            actions.push(Action::Reactivate);
        }
        if world.reactivating && world.fate.is_none() {
            actions.push(Action::Decide);
        }
        if world.fate == Some(Fate::Reactivate) && !world.given_back {
            actions.push(Action::GiveBack);
        }
        if world.budget.decisions > 0 {
            actions.push(Action::Approve);
        }
        if world.budget.hires > 0 && world.waits_archived() {
            actions.push(Action::HireAgain);
        }
        if world.budget.forgeries > 0 && world.lease.is_none() && world.archive == world.forged {
            actions.push(Action::Forge);
        }
    }

    pub(super) fn act(&self, world: &mut World, action: &Action) {
        match *action {
            Action::Take(index, source) => self.take(world, index, source),
            Action::Proceed(index) => self.proceed(world, index, false),
            Action::LoseReply(index) => {
                world.budget.lost_replies -= 1;
                self.proceed(world, index, true);
            }
            Action::Crash(index) => crash(world, index),
            Action::ExpireLease => {
                world.budget.expiries -= 1;
                world.lease = None;
            }
            Action::ForgetAll => {
                world.budget.forgets -= 1;
                world.redis = None;
                world.lease = None;
            }
            Action::Duplicate => {
                world.budget.duplicates -= 1;
                world.queued[0] += 1;
            }
            Action::Cancel => {
                world.budget.cancellations -= 1;
                world.cancelled = true;
            }
            Action::Reactivate => {
                world.budget.reactivations -= 1;
                world.reactivating = true;
                world.cancelled = true;
            }
            // The lease is no help: a worker that lost it may be anywhere.
            Action::Decide => world.fate = Some(Fate::Reactivate),
            Action::GiveBack => {
                world.expect(world.exists, "a user was reactivated who is deleted");
                world.given_back = true;
            }
            Action::Approve => world.decide(),
            Action::HireAgain => world.hire_again(),
            Action::Forge => {
                world.budget.forgeries -= 1;
                world.forged = true;
                let version = world.redis.as_ref().map_or(1, |(version, _)| version + 1);
                world.redis = Some((version, forged()));
            }
        }
    }

    fn take(&self, world: &mut World, index: usize, source: usize) {
        world.queued[source] -= 1;
        world.lease = Some(OWNER);
        let (version, mut checkpoint) = match &world.redis {
            Some((version, checkpoint)) => (*version, checkpoint.clone()),
            None => (0, Checkpoint::new(user(), Request::default(), NOW)),
        };

        let acts = self.plan(&mut checkpoint, Event::Resumed, source);
        world.workers[index] = Worker::Running {
            source,
            owner: OWNER,
            version,
            checkpoint: Box::new(checkpoint),
            acts,
            read: false,
            too_late: false,
            decided: false,
            approved: false,
        };
    }

    /// The product's own plan, as atomic acts.
    pub(super) fn plan(
        &self,
        checkpoint: &mut Checkpoint,
        event: Event,
        source: usize,
    ) -> VecDeque<Act> {
        let job = job(source);
        let circumstances = Circumstances {
            job: &job,
            delete: DeletePolicy::Attempt,
            retry: &RETRY,
            jitter: 0.0,
            now: NOW,
        };
        let commands = plan_commands(checkpoint, event, Vec::new(), &circumstances);

        let mut acts = VecDeque::new();
        if commands.save == Save::First {
            acts.push_back(Act::Save);
        }
        if self.broken == Some(Rule::SaveBeforeWhatFollows) {
            acts.push_front(Act::Do(commands.then));
        } else {
            acts.push_back(Act::Do(commands.then));
        }
        acts
    }

    /// One act of one worker.
    fn proceed(&self, world: &mut World, index: usize, reply_is_lost: bool) {
        match std::mem::replace(&mut world.workers[index], Worker::Idle) {
            Worker::Idle => {}
            Worker::Settling { source, acts } => self.settle(world, index, source, acts),
            running @ Worker::Running { .. } => {
                world.workers[index] = self.run(world, running, reply_is_lost);
            }
        }
    }

    /// The worker after its next act.
    fn run(&self, world: &mut World, mut worker: Worker, reply_is_lost: bool) -> Worker {
        let Worker::Running {
            source,
            owner,
            version,
            checkpoint,
            acts,
            read,
            too_late,
            decided,
            approved,
        } = &mut worker
        else {
            return worker;
        };
        match acts.pop_front() {
            None => return Worker::Idle,
            Some(Act::Save) => {
                let Some(saved) = world.save(*owner, *version, checkpoint, self.broken) else {
                    let outcome = Outcome::Interrupted(Interrupt::LeaseLost);
                    return self.end(&outcome, *source, None);
                };
                *version = saved;
            }
            Some(Act::Do(Command::Perform(step))) if self.is_stopped(world, &step, *read) => {
                acts.extend(self.plan(checkpoint, Event::Cancelled(cancelled(NOW)), *source));
            }
            // What was read may be out of date when the DELETE is sent.
            Some(Act::Do(Command::Perform(step @ Step::Delete { .. })))
                if !*read && world.exists =>
            {
                *read = true;
                *too_late = world.cancelled;
                *approved = world.is_approved();
                acts.push_front(Act::Do(Command::Perform(step)));
            }
            Some(Act::Do(Command::Perform(step @ Step::Delete { .. })))
                if self.decides(world) && !*decided && world.exists =>
            {
                *decided = true;
                acts.extend(self.decide(world, checkpoint, step, *source));
            }
            Some(Act::Do(Command::Perform(step))) => {
                *read = false;
                let is_late = *too_late && matches!(step, Step::Delete { .. }) && world.exists;
                world.expect(
                    !is_late,
                    "a DELETE although the cancellation was stored before the worker looked",
                );
                let event = self.perform(world, checkpoint, &step, *approved, reply_is_lost);
                acts.extend(self.plan(checkpoint, event, *source));
            }
            Some(Act::Do(Command::Apply(event))) => {
                let planned = self.plan(checkpoint, *event, *source);
                acts.extend(planned);
            }
            Some(Act::Do(Command::End(outcome))) => {
                if world.lease == Some(*owner) {
                    world.lease = None;
                }
                self.note_end(world, &outcome, *source);
                let late = acts
                    .contains(&Act::Save)
                    .then(|| Settle::SaveLate(*owner, *version, checkpoint.clone()));
                return self.end(&outcome, *source, late);
            }
        }
        worker
    }

    /// A step, and what the worker sees of it.
    fn perform(
        &self,
        world: &mut World,
        checkpoint: &Checkpoint,
        step: &Step,
        approved: bool,
        reply_is_lost: bool,
    ) -> Event {
        let refused = self.refused;
        let event = perform(world, checkpoint, step, refused, approved, self.broken);
        if reply_is_lost {
            failed(Class::UnknownOutcome)
        } else {
            event
        }
    }

    /// Whether a worker reads an order before this step: before each one that changes something, and whose end it does
    /// not only record.
    fn is_stopped(&self, world: &World, step: &Step, read: bool) -> bool {
        world.cancelled
            && match step {
                Step::LookAgain
                | Step::ClearQueues
                | Step::Deactivate
                | Step::Archive
                | Step::Seal => true,
                Step::Delete { .. } => {
                    let reads_orders = self.broken != Some(Rule::LookBeforeTheDeletion);
                    reads_orders && !read && world.exists
                }
                Step::LookBack | Step::ConfirmDeletion | Step::Record => false,
            }
    }

    /// One act with the end, to keep the model small: a crash between the two changes nothing that one before or after
    /// them does not.
    fn note_end(&self, world: &mut World, outcome: &Outcome, source: usize) {
        let is_left_out = self.broken == Some(Rule::TheEndAnnouncesTheAccess);
        if matches!(outcome, Outcome::Finished(_)) && !is_left_out {
            world.announced |= settled(outcome, source).access_gone().is_some();
        }
        world.dropped |= matches!(outcome, Outcome::Cancelled(_));
    }

    /// The settlement of a run, by the product's own mapping.
    fn end(&self, outcome: &Outcome, source: usize, late: Option<Settle>) -> Worker {
        let mut acts = VecDeque::new();
        let settlement = settled(outcome, source);
        match settlement.destination() {
            None => {}
            Some(Destination::Jobs(next)) => acts.push_back(Settle::Publish(queue_of(next))),
            Some(Destination::Delayed { .. }) => acts.push_back(Settle::Publish(source)),
            Some(Destination::DeadLetters) => acts.push_back(Settle::DeadLetter),
        }
        // Both are sent at once. The worse order is that the archive lane has the job first.
        if settlement.access_gone().is_some() && acts.contains(&Settle::Publish(1)) {
            acts.push_back(Settle::Announce);
        }

        if self.broken == Some(Rule::PublishBeforeAcknowledging) {
            acts.push_front(Settle::Acknowledge);
        } else {
            acts.push_back(Settle::Acknowledge);
        }
        acts.extend(late);
        Worker::Settling { source, acts }
    }

    fn settle(&self, world: &mut World, index: usize, source: usize, mut acts: VecDeque<Settle>) {
        match acts.pop_front() {
            None => return,
            Some(Settle::Publish(to)) => world.queued[to] += 1,
            Some(Settle::DeadLetter) => world.dead += 1,
            Some(Settle::Announce) => world.announced = true,
            Some(Settle::SaveLate(owner, version, checkpoint)) => {
                world.save(owner, version, &checkpoint, self.broken);
            }
            Some(Settle::Acknowledge) => {
                let is_left =
                    world.queued_jobs() > 0 || !acts.is_empty() || world.others_hold(index);
                world.expect(
                    world.manifest.is_some() || world.dropped || world.dead > 0 || is_left,
                    "I4: a job vanished",
                );
                if acts.is_empty() {
                    return;
                }
            }
        }
        world.workers[index] = Worker::Settling { source, acts };
    }
}
