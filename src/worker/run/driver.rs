//! Drives one user as far as it gets now.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Instant;

use futures_util::FutureExt as _;
use tracing::Instrument as _;

use super::commands::{Command, Save};
use super::decide::{Circumstances, plan_commands};
use super::order_claim::false_claim;
use super::progress_log::SavedState;
use super::saving::save;
use super::surge::{instead_of_dead_letter, of_this_user};
use super::{GivenUp, Outcome, lease};
use crate::failure::{Class, Code, Failure, Reason};
use crate::job::Job;
use crate::machine::{Call, Checkpoint, Event, StateName, Step};
use crate::ports::{Claim, Lease};
use crate::queue::redelivery::POISON_DEATHS;
use crate::steps::{
    CLAIM, Cancellation, CheckpointSession, Interrupt, Services, Stopped, is_active, is_recorded,
    perform,
};
use crate::telemetry::{metrics, span};

/// Drives one user as far as it gets now: claim and load, then step, transition and save in turn, as
/// [`plan_commands`] says. Before a DELETE the machine has a state of its own, so that the intent is
/// saved too.
///
/// Nothing is settled here: the caller does that after this returned, when all of it is saved. A
/// crash anywhere repeats at most the call in flight.
pub(crate) async fn drive(services: &Services, job: &Job, cancellation: &Cancellation) -> Outcome {
    let user_id = job.user_id;
    crate::failpoint::arm(&user_id.to_string());

    let claiming = services.checkpoints.claim(user_id);
    let claim = claiming
        .instrument(span::checkpoint("claim", user_id))
        .await;
    match claim {
        Ok(Claim::Granted {
            lease,
            version,
            checkpoint,
            authenticated,
            deaths,
            workers,
        }) => {
            let trusted = authenticated || checkpoint.is_none();
            if let Some(surges) = &services.surges {
                surges.passed(CLAIM);
            }
            let mut checkpoint = checkpoint.map_or_else(|| services.begin(job), |stored| *stored);
            checkpoint.taken_by(workers.into_iter().chain([services.actor.worker.clone()]));
            let session = CheckpointSession::new(
                Arc::clone(&services.checkpoints),
                lease.clone(),
                version,
                checkpoint,
                trusted,
                cancellation.clone(),
                services.progress.clone(),
            );
            let run = under_lease(services, job, cancellation, session, &lease, deaths).await;
            run.unwrap_or_else(Outcome::Interrupted)
        }
        Ok(Claim::Held {
            for_at_most,
            look_again,
        }) => Outcome::Busy {
            for_at_most,
            look_again,
        },
        Err(failure) if failure.class == Class::Systemic => {
            Outcome::Interrupted(Interrupt::Systemic(failure))
        }
        Err(failure) => {
            let given_up = unreadable(&failure);
            let instead = instead_of_dead_letter(services, job, &given_up).await;
            instead.unwrap_or(Outcome::DeadLetter(given_up))
        }
    }
}

/// Runs the user while the lease is renewed, and releases the lease.
async fn under_lease(
    services: &Services,
    job: &Job,
    cancellation: &Cancellation,
    mut session: CheckpointSession,
    lease: &Lease,
    deaths: u32,
) -> Result<Outcome, Interrupt> {
    let user_id = job.user_id;
    session.renew_by(lease::keep_renewing(
        Arc::clone(&services.checkpoints),
        lease.clone(),
        cancellation.lease_lost(),
    ));
    let run = async {
        if deaths < POISON_DEATHS {
            crate::failpoint::in_visit(&user_id.to_string());
            Box::pin(advance(services, &mut session, job)).await
        } else {
            give_up(services, &mut session, job, deaths).await
        }
    };

    // A worker that lost the lease, or may have, stops where it is: every save would be refused, and the calls after
    // it are another worker's to make. That is asked first each time that the run would continue.
    let mut lost = false;
    let result = tokio::select! {
        biased;
        cause = services.checkpoints.unsure(lease) => {
            tracing::debug!(%user_id, "the lease may be lost; this worker does nothing more to the user");
            lost = true;
            Err(cause.map_or(Interrupt::LeaseLost, Interrupt::Systemic))
        }
        interrupt = cancellation.cut_off() => Err(interrupt),
        result = run => result,
    };
    // A Redis that is away would let each user of this process wait.
    let is_away = matches!(&result, Err(Interrupt::Systemic(failure)) if failure.code == Code::CheckpointsUnreachable);
    let lost = lost || is_away || result == Err(Interrupt::LeaseLost);
    if result.is_err() && !lost {
        session.save_what_waits().await;
    }
    let is_released = session.is_released();
    drop(session);
    if is_released {
        return result;
    }

    if lost {
        services.checkpoints.release_later(lease);
    } else {
        let releasing = services.checkpoints.release(lease);
        let released = releasing
            .instrument(span::checkpoint("release", user_id))
            .await;
        if let Err(failure) = released {
            tracing::warn!(%user_id, %failure, "the lease is not released yet");
        }
    }
    result
}

/// One event after the other, until the run ends.
async fn advance(
    services: &Services,
    session: &mut CheckpointSession,
    job: &Job,
) -> Result<Outcome, Interrupt> {
    if let Some(given_up) = false_claim(services, session.checkpoint(), job).await? {
        return Ok(Outcome::DeadLetter(given_up));
    }
    let mut event = first_event(services, session, job).await?;
    let mut calls: Vec<Call> = Vec::new();
    let mut failed_step: Option<(&'static str, Class)> = None;

    loop {
        let circumstances = Circumstances {
            job,
            delete: services.delete,
            retry: &services.retry,
            jitter: rand::random::<f64>(),
            now: services.clock.now(),
        };
        let saved = SavedState::of(session.checkpoint());
        let commands = plan_commands(
            session.plan_on(),
            event,
            std::mem::take(&mut calls),
            &circumstances,
        );

        if let Command::End(Outcome::DeadLetter(given_up)) = &commands.then
            && let Some(instead) = instead_of_dead_letter(services, job, given_up).await
        {
            return Ok(instead);
        }
        if commands.save != Save::No {
            save(&commands, session, job).await?;
            saved.report_change(session.checkpoint(), services.surges.as_ref());
        }
        event = match commands.then {
            Command::Apply(event) => *event,
            Command::Perform(step) => {
                session.still_wanted()?;
                let event = match services.stop_before(&step, job, session.checkpoint()).await {
                    Ok(None) => timed_step(&step, services, session, job, &mut calls).await?,
                    Ok(Some(event)) => event,
                    Err(stopped) => event_of(services, step.as_str(), stopped).await?,
                };
                if let Event::StepFailed(failure) = &event {
                    failed_step = Some((step.as_str(), failure.class));
                }
                event
            }
            Command::End(outcome) => match without_hearsay(services, session, outcome).await {
                Ok(outcome) => {
                    if let (Outcome::Delay { .. }, Some((step, class))) = (&outcome, failed_step) {
                        metrics::retried(step, class);
                    }
                    end_in_batch(services, job, session.checkpoint()).await?;
                    return Ok(outcome);
                }
                Err(stopped) => event_of(services, "deactivate", stopped).await?,
            },
        };
    }
}

/// Without an integrity key, somebody else may have written that the access is gone. That is
/// announced only if this run saw it, or reads it again.
async fn without_hearsay(
    services: &Services,
    session: &CheckpointSession,
    outcome: Outcome,
) -> Result<Outcome, Stopped> {
    let user_id = session.user_id();
    let announces = match &outcome {
        Outcome::MoveToArchiveLane(access_gone) => access_gone.is_some(),
        Outcome::Cancelled(end) => end.access_gone.is_some(),
        _ => false,
    };
    if !announces || !session.access_is_hearsay() || !is_active(services, user_id).await? {
        return Ok(outcome);
    }

    tracing::warn!(%user_id, "the checkpoint says that the access is gone, but it is not");
    Ok(match outcome {
        Outcome::Cancelled(mut end) => {
            end.access_gone = None;
            Outcome::Cancelled(end)
        }
        _ => Outcome::MoveToArchiveLane(None),
    })
}

/// One step, with its span and its duration. A failure of the step is an event; an interrupt, or a
/// failure that many users meet at once, ends the run.
async fn timed_step(
    step: &Step,
    services: &Services,
    session: &mut CheckpointSession,
    job: &Job,
    calls: &mut Vec<Call>,
) -> Result<Event, Interrupt> {
    let begun = Instant::now();
    let span = span::step(step.as_str(), job.user_id);
    let performing = async {
        crate::failpoint::in_step(step.as_str());
        perform(step, services, session, job, calls).await
    };
    let performing = AssertUnwindSafe(performing.instrument(span.clone()));
    // A panic is a fault of this step, and what it left half done is not used again: only the dead letter is saved.
    let performed = performing.catch_unwind().await.unwrap_or_else(|panic| {
        let text = format!("a step panicked: {}", message_of(&*panic));
        let failure = Failure::new(Class::Defect, Code::Panicked, text);
        Err(Stopped::Failed(failure))
    });
    metrics::step_took(step.as_str(), begun.elapsed());
    services.progress.made();

    match performed {
        Ok(event) => Ok(event),
        Err(stopped) => {
            stopped.record_in(&span);
            event_of(services, step.as_str(), stopped).await
        }
    }
}

fn message_of(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("without a message")
}

/// A failure is the job's own, unless enough users met it that it is an outage.
async fn event_of(
    services: &Services,
    step: &'static str,
    stopped: Stopped,
) -> Result<Event, Interrupt> {
    match of_this_user(services, stopped) {
        Stopped::Failed(failure) => match services.outage(step, &failure).await {
            Some(outage) => Err(Interrupt::Systemic(outage)),
            None => Ok(Event::StepFailed(failure)),
        },
        Stopped::Interrupted(interrupt) => Err(interrupt),
    }
}

async fn first_event(
    services: &Services,
    session: &mut CheckpointSession,
    job: &Job,
) -> Result<Event, Interrupt> {
    let beginning = async {
        services.claim_profile(session.checkpoint_mut())?;
        confirm_end(services, session, job).await?;
        // The intent to delete that an earlier request left is not this one's.
        if let Some(begun) = services.ordered_again(job, session.checkpoint()).await? {
            tracing::info!(user_id = %job.user_id, "asked for again after a cancellation");
            session.forget(begun);
        }
        Ok(Event::Resumed)
    };
    match beginning.await {
        Ok(event) => Ok(event),
        Err(stopped) => event_of(services, "finish", stopped).await,
    }
}

/// A checkpoint that says "finished" counts, and an event is published of it, only where the manifest
/// is in the store with the digest that the checkpoint names. Otherwise the checkpoint counts as
/// absent, and what was done is read back.
async fn confirm_end(
    services: &Services,
    session: &mut CheckpointSession,
    job: &Job,
) -> Result<(), Stopped> {
    let checkpoint = session.checkpoint();
    let Some(manifest) = checkpoint.state.manifest() else {
        return Ok(());
    };
    if is_recorded(&*services.archive_store, checkpoint, manifest).await? {
        return Ok(());
    }

    tracing::warn!(user_id = %job.user_id, manifest = manifest.key,
        "the checkpoint names a manifest that is not in the store; it counts as absent");
    session.forget(services.begin(job));
    Ok(())
}

/// A user who ended with another batch belongs to this batch too, and still does when the checkpoint
/// expires.
async fn end_in_batch(
    services: &Services,
    job: &Job,
    checkpoint: &Checkpoint,
) -> Result<(), Interrupt> {
    let Some(batch) = &job.request.batch_id else {
        return Ok(());
    };
    if checkpoint.request.batch_id.as_ref() == Some(batch) {
        return Ok(());
    }

    let ending = services.checkpoints.end_in_batch(batch, checkpoint);
    ending.await.map_err(Interrupt::Systemic)
}

/// Workers died on this user again and again, and another one would too.
async fn give_up(
    services: &Services,
    session: &mut CheckpointSession,
    job: &Job,
    deaths: u32,
) -> Result<Outcome, Interrupt> {
    let text = format!("{deaths} workers in a row died while they worked on this user");
    let failure = Failure::new(Class::Permanent(Reason::Poison), Code::Panicked, text);
    let checkpoint = session.checkpoint_mut();
    checkpoint.give_up(Reason::Poison, failure.clone(), services.clock.now());
    let state = checkpoint.state.name();
    let attempts = checkpoint.attempts;

    let given_up = GivenUp::new(Reason::Poison, &failure, state, attempts);
    if let Some(instead) = instead_of_dead_letter(services, job, &given_up).await {
        return Ok(instead);
    }
    session.save().await?;
    Ok(Outcome::DeadLetter(given_up))
}

/// A checkpoint that this release must not touch: nothing is saved over it.
fn unreadable(failure: &Failure) -> GivenUp {
    GivenUp::new(Reason::Poison, failure, StateName::Received, 0)
}
