use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::failure::{Class, Code, Failure, Reason};
use crate::job::{Lane, Request, UserId};
use crate::machine::{Call, Checkpoint, Context, Effect, Event, StateName, Transition, Wait, transition};
use crate::ports::{Checkpoints, Claim, Lease};
use crate::steps::{Interrupt, Journal, Services, Stopped, perform};

/// How far one visit got. Everything in it is saved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Terminal, and the manifest is stored.
    Finished(StateName),
    /// Access is gone; the archive is another lane's work.
    HandOver,
    /// To be continued.
    Wait {
        /// Not before then.
        until: Timestamp,
        /// Why, for people.
        why: String,
    },
    /// Another worker has the user.
    Busy {
        /// When its lease runs out, unless renewed.
        for_at_most: Duration,
    },
    /// Given up.
    DeadLetter {
        /// The contract's word.
        reason: Reason,
        /// What happened.
        failure: Failure,
        /// The last completed state.
        state: StateName,
        /// Attempts that were spent.
        attempts: u32,
    },
}

/// Leads one user as far as it goes now. The order, written once: load, step, transition, save, next;
/// before a DELETE the machine puts a state of its own, so that the intent is saved too.
///
/// Nothing is settled here: the caller does that, after this returned and all of it is saved. A crash
/// anywhere repeats at most the call in flight.
pub async fn drive(
    services: &Services,
    user_id: UserId,
    request: &Request,
    lane: Lane,
    draining: &CancellationToken,
) -> Result<Outcome, Interrupt> {
    let (lease, version, checkpoint) = match services.checkpoints.claim(user_id).await {
        Ok(Claim::Granted { lease, version, checkpoint }) => (lease, version, checkpoint),
        Ok(Claim::Held { for_at_most }) => return Ok(Outcome::Busy { for_at_most }),
        Err(failure) if failure.class == Class::Systemic => return Err(Interrupt::Systemic(failure)),
        Err(failure) => return Ok(unreadable(failure)),
    };
    let checkpoint = checkpoint.map_or_else(
        || Checkpoint::new(user_id, request.clone(), Timestamp::now()),
        |checkpoint| *checkpoint,
    );
    let renewing = renew(Arc::clone(&services.checkpoints), lease.clone());
    let journal =
        Journal::new(Arc::clone(&services.checkpoints), lease.clone(), version, checkpoint, draining.clone());
    let result = Box::pin(advance(services, journal, lane, draining)).await;
    drop(renewing);
    if !matches!(result, Err(Interrupt::LeaseLost))
        && let Err(failure) = services.checkpoints.release(&lease).await
    {
        tracing::warn!(%user_id, %failure, "the lease was not released; it runs out by itself");
    }
    result
}

async fn advance(
    services: &Services,
    mut journal: Journal,
    lane: Lane,
    draining: &CancellationToken,
) -> Result<Outcome, Interrupt> {
    let mut event = Event::Resumed;
    let mut calls: Vec<Call> = Vec::new();
    loop {
        let failed = match &event {
            Event::StepFailed(failure) => Some(failure.clone()),
            _ => None,
        };
        let news = event != Event::Resumed;
        let from = journal.checkpoint().state.clone();
        let from_name = from.name();
        let context = Context {
            action: journal.checkpoint().request.action,
            delete: services.delete,
            retry: &services.retry,
            attempts: journal.checkpoint().attempts,
            jitter: rand::random::<f64>(),
        };
        let Transition { state, effect } = match transition(from, event, &context) {
            Ok(transition) => transition,
            Err(illegal) => {
                let failure = Failure::new(Class::Defect, Code::IllegalTransition, illegal.to_string());
                return give_up(&mut journal, Reason::Poison, failure).await;
            }
        };
        let now = Timestamp::now();
        let to_name = state.name();
        if let Some(failure) = failed {
            // Reads of a failed attempt prove nothing; its writes did happen.
            calls.retain(|call| call.method != "GET");
            journal.checkpoint_mut().step.calls.append(&mut calls);
            return settle_failure(&mut journal, effect, failure, now).await;
        }
        if news {
            journal.checkpoint_mut().advance(state, std::mem::take(&mut calls), now);
        }
        match &effect {
            Effect::Wait(Wait::Until(until)) => {
                journal.checkpoint_mut().waiting_until = Some(*until);
                journal.save().await?;
                return Ok(Outcome::Wait { until: *until, why: "a guard postpones the deletion".to_owned() });
            }
            Effect::DeadLetter(reason) => {
                let failure = Failure::new(
                    Class::Permanent(*reason),
                    Code::UserNotFound,
                    "the API does not know this user, and neither do we",
                );
                return give_up(&mut journal, *reason, failure).await;
            }
            _ => {}
        }
        if news {
            journal.save().await?;
            if from_name != to_name {
                tracing::info!(user_id = %journal.user_id(), from = %from_name, to = %to_name, "moved");
            }
        }
        if effect == Effect::Finish {
            return Ok(Outcome::Finished(to_name));
        }
        if effect == Effect::Archive && lane == Lane::Access {
            return Ok(Outcome::HandOver);
        }
        if draining.is_cancelled() {
            return Err(Interrupt::Draining);
        }
        event = match perform(&effect, services, &mut journal, &mut calls).await {
            Some(Ok(event)) => event,
            Some(Err(Stopped::Failed(failure))) => Event::StepFailed(failure),
            Some(Err(Stopped::Interrupted(interrupt))) => return Err(interrupt),
            // Waiting, giving up and finishing returned above.
            None => return Ok(Outcome::Finished(to_name)),
        };
    }
}

/// A step failed: what the machine says of it is saved before anything is settled.
async fn settle_failure(
    journal: &mut Journal,
    effect: Effect,
    failure: Failure,
    now: Timestamp,
) -> Result<Outcome, Interrupt> {
    let (delay, spends_attempt) = match effect {
        Effect::Wait(Wait::Retry { delay, spends_attempt }) => (delay, spends_attempt),
        Effect::DeadLetter(reason) => return give_up(journal, reason, failure).await,
        _ => (Duration::from_secs(1), true),
    };
    let until = now + SignedDuration::try_from(delay).unwrap_or(SignedDuration::from_mins(15));
    let why = failure.to_string();
    journal.checkpoint_mut().fail(failure, spends_attempt, until, now);
    journal.save().await?;
    Ok(Outcome::Wait { until, why })
}

async fn give_up(journal: &mut Journal, reason: Reason, failure: Failure) -> Result<Outcome, Interrupt> {
    journal.checkpoint_mut().give_up(reason, failure.clone(), Timestamp::now());
    let checkpoint = journal.checkpoint();
    let attempts = checkpoint.dead_letter.as_ref().map_or(0, |letter| letter.attempts);
    let state = checkpoint.state.name();
    journal.save().await?;
    Ok(Outcome::DeadLetter { reason, failure, state, attempts })
}

/// A checkpoint that this release must not touch: nothing is saved over it.
const fn unreadable(failure: Failure) -> Outcome {
    Outcome::DeadLetter { reason: Reason::Poison, failure, state: StateName::Received, attempts: 0 }
}

/// Keeps the lease while a long step runs. A save that finds it lost is refused anyway.
fn renew(checkpoints: Arc<dyn Checkpoints>, lease: Lease) -> AbortOnDropHandle<()> {
    AbortOnDropHandle::new(tokio::spawn(async move {
        let mut ticks = tokio::time::interval(checkpoints.lease_ttl() / 3);
        ticks.tick().await;
        loop {
            ticks.tick().await;
            match checkpoints.renew(&lease).await {
                Ok(true) => {}
                Ok(false) => {
                    tracing::warn!(user_id = %lease.user_id, "the lease is lost; the next save will be refused");
                    return;
                }
                Err(failure) => {
                    tracing::warn!(user_id = %lease.user_id, %failure, "the lease was not renewed");
                }
            }
        }
    }))
}
