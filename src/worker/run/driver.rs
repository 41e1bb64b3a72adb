use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio_util::task::AbortOnDropHandle;
use tracing::Instrument as _;

use crate::failure::{Class, Code, Failure, Reason};
use crate::job::{Job, Request};
use crate::machine::{Call, Checkpoint, Event, ManifestRef, State, StateName};
use crate::ports::{Checkpoints, Claim, Lease};
use crate::progress;
use crate::steps::{
    Cancellation, CheckpointSession, Interrupt, Services, Stopped, is_recorded, perform,
};
use crate::telemetry::{metrics, span};
use crate::worker::run::decide::{Act, Circumstances, decide};

/// How far one visit got. Everything in it is saved.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Outcome {
    /// Terminal, and the manifest is stored.
    Finished(Box<Ended>),
    /// Access is gone; the archive is another lane's work.
    HandOver,
    /// The user came back after an off-boarding: the job begins again as this revision.
    Reissue {
        /// Of the manifest to come.
        revision: u32,
    },
    /// A dead letter stands for this job already.
    Replaced,
    Wait {
        until: Timestamp,
        why: String,
        /// The failure that it waits after, if it does.
        code: Option<Code>,
    },
    /// Another worker has the user.
    Busy {
        /// When its lease runs out, unless renewed.
        for_at_most: Duration,
    },
    DeadLetter {
        reason: Reason,
        failure: Failure,
        state: StateName,
        attempts: u32,
    },
}

/// How an off-boarding ended, as its manifest tells.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Ended {
    pub state: StateName,
    pub revision: u32,
    /// When the last step was completed.
    pub at: Timestamp,
    pub request: Request,
    pub manifest: Option<ManifestRef>,
}

impl Ended {
    /// Of a user who is finished.
    pub(crate) fn of(checkpoint: &Checkpoint) -> Self {
        Self {
            state: checkpoint.state.name(),
            revision: checkpoint.revision,
            at: checkpoint.ended_at().unwrap_or(checkpoint.updated_at),
            request: checkpoint.request.clone(),
            manifest: checkpoint.state.manifest().cloned(),
        }
    }
}

/// After so many deaths of workers in a row, each with the user in its hands, a user is given up.
const POISON_DEATHS: u32 = 5;

/// Leads one user as far as it goes now, in the order that `decide` lists: load, step, transition, save,
/// next; before a DELETE the machine puts a state of its own, so that the intent is saved too.
///
/// Nothing is settled here: the caller does that, after this returned and all of it is saved. A crash
/// anywhere repeats at most the call in flight.
pub(crate) async fn drive(
    services: &Services,
    job: &Job,
    limits: &Cancellation,
) -> Result<Outcome, Interrupt> {
    let user_id = job.user_id;
    crate::failpoint::arm(&user_id.to_string());
    let (lease, version, checkpoint, authenticated, deaths) = match services
        .checkpoints
        .claim(user_id)
        .instrument(span::checkpoint("claim", user_id))
        .await
    {
        Ok(Claim::Granted {
            lease,
            version,
            checkpoint,
            authenticated,
            deaths,
        }) => (lease, version, checkpoint, authenticated, deaths),
        Ok(Claim::Held { for_at_most }) => return Ok(Outcome::Busy { for_at_most }),
        Err(failure) if failure.class == Class::Systemic => {
            return Err(Interrupt::Systemic(failure));
        }
        Err(failure) => return Ok(unreadable(failure)),
    };
    let trusted = authenticated || checkpoint.is_none();
    let checkpoint = checkpoint.map_or_else(
        || Checkpoint::new(user_id, job.request.clone(), Timestamp::now()),
        |checkpoint| *checkpoint,
    );
    let checkpoints = Arc::clone(&services.checkpoints);
    let lost = limits.lease_lost();
    let renewing = renew(Arc::clone(&checkpoints), lease.clone(), lost);
    let journal = CheckpointSession::new(
        checkpoints,
        lease.clone(),
        version,
        checkpoint,
        trusted,
        limits.clone(),
    );
    let visit = async {
        if deaths < POISON_DEATHS {
            crate::failpoint::in_visit(&user_id.to_string());
            Box::pin(advance(services, journal, job)).await
        } else {
            give_up(journal, deaths).await
        }
    };
    // Whoever lost the lease stops where it is: every save would be refused, and the calls after it
    // would be another worker's to make.
    let result = tokio::select! {
        biased;
        interrupt = limits.cut_off() => Err(interrupt),
        result = visit => result,
    };
    drop(renewing);
    if !matches!(result, Err(Interrupt::LeaseLost))
        && let Err(failure) = services
            .checkpoints
            .release(&lease)
            .instrument(span::checkpoint("release", user_id))
            .await
    {
        tracing::warn!(%user_id, %failure, "the lease was not released; it runs out by itself");
    }
    result
}

async fn advance(
    services: &Services,
    mut journal: CheckpointSession,
    job: &Job,
) -> Result<Outcome, Interrupt> {
    let mut event = match confirm_end(services, &mut journal, job).await {
        Ok(()) => Event::Resumed,
        Err(Stopped::Failed(failure)) => match services.outage("finish", &failure).await {
            Some(outage) => return Err(Interrupt::Systemic(outage)),
            None => Event::StepFailed(failure),
        },
        Err(Stopped::Interrupted(interrupt)) => return Err(interrupt),
    };
    let mut calls: Vec<Call> = Vec::new();
    let mut failed: Option<(&'static str, Class)> = None;
    loop {
        let circumstances = Circumstances {
            job,
            delete: services.delete,
            retry: &services.retry,
            jitter: rand::random::<f64>(),
            now: Timestamp::now(),
        };
        let before = Before::of(journal.checkpoint());
        let acts = decide(
            journal.checkpoint_mut(),
            event,
            std::mem::take(&mut calls),
            &circumstances,
        );
        let mut next = None;
        for act in acts {
            match act {
                Act::Save => {
                    journal.save().await?;
                    tell(&before, journal.checkpoint());
                }
                Act::Perform(effect) => {
                    journal.still_wanted()?;
                    let (begun, span) = (Instant::now(), span::step(effect.step(), job.user_id));
                    let performed = perform(&effect, services, &mut journal, job, &mut calls);
                    let performed = performed.instrument(span.clone()).await;
                    metrics::step_took(effect.step(), begun.elapsed());
                    progress::made();
                    if let Some(Err(stopped)) = &performed {
                        stopped.tell(&span);
                    }
                    next = match performed {
                        Some(Ok(event)) => Some(event),
                        Some(Err(Stopped::Failed(failure))) => {
                            if let Some(outage) = services.outage(effect.step(), &failure).await {
                                return Err(Interrupt::Systemic(outage));
                            }
                            failed = Some((effect.step(), failure.class));
                            Some(Event::StepFailed(failure))
                        }
                        Some(Err(Stopped::Interrupted(interrupt))) => return Err(interrupt),
                        None => None,
                    };
                }
                Act::End(outcome) => {
                    if let (Outcome::Wait { .. }, Some((step, class))) = (&outcome, failed) {
                        metrics::retried(step, class);
                    }
                    end_in_batch(services, job, journal.checkpoint()).await?;
                    return Ok(outcome);
                }
            }
        }
        // Waiting, giving up and finishing end a visit above.
        let Some(following) = next else {
            return Ok(Outcome::Finished(Box::new(Ended::of(journal.checkpoint()))));
        };
        event = following;
    }
}

/// A checkpoint says "finished", and no event is published of it, only where the manifest is in the store with the
/// digest that it names; else it counts as absent, and what was done is read back.
async fn confirm_end(
    services: &Services,
    journal: &mut CheckpointSession,
    job: &Job,
) -> Result<(), Stopped> {
    let checkpoint = journal.checkpoint();
    let Some(manifest) = checkpoint.state.manifest() else {
        return Ok(());
    };
    if is_recorded(&*services.archive_store, checkpoint, manifest).await? {
        return Ok(());
    }
    tracing::warn!(user_id = %job.user_id, manifest = manifest.key,
        "the checkpoint names a manifest that is not in the store; it counts as absent");
    journal.forget(Checkpoint::new(
        job.user_id,
        job.request.clone(),
        Timestamp::now(),
    ));
    Ok(())
}

/// A user who ended with another batch is one of this batch too, and stays it when the checkpoint expires.
async fn end_in_batch(
    services: &Services,
    job: &Job,
    checkpoint: &Checkpoint,
) -> Result<(), Interrupt> {
    let batch = job.request.batch_id.as_ref();
    let Some(batch) = batch.filter(|batch| checkpoint.request.batch_id.as_ref() != Some(batch))
    else {
        return Ok(());
    };
    services
        .checkpoints
        .end_in_batch(batch, checkpoint)
        .await
        .map_err(Interrupt::Systemic)
}

/// What a save may have changed.
struct Before {
    state: StateName,
    is_finished: bool,
}

impl Before {
    const fn of(checkpoint: &Checkpoint) -> Self {
        Self {
            state: checkpoint.state.name(),
            is_finished: checkpoint.state.is_finished(),
        }
    }
}

/// Logs and counts what was just saved.
fn tell(before: &Before, checkpoint: &Checkpoint) {
    let (from, to) = (before.state, checkpoint.state.name());
    if checkpoint.state.is_finished() && !before.is_finished {
        metrics::finished(to);
    }
    if from == to {
        return;
    }
    tracing::info!(user_id = %checkpoint.user_id, %from, %to, "moved");
    metrics::moved(from, to);
    match &checkpoint.state {
        State::Deactivated { access, .. } => {
            let asked = checkpoint
                .request
                .requested_at
                .or(checkpoint.request.received_at);
            let after = asked.map(|asked| access.at.duration_since(asked));
            // A requester's clock may be ahead.
            metrics::access_removed(
                after
                    .and_then(|after| after.try_into().ok())
                    .unwrap_or_default(),
            );
        }
        State::Archived { archive, .. } if from == StateName::Deactivated => {
            metrics::archived(archive.bytes, archive.conversations);
        }
        State::Received
        | State::QueuesCleared { .. }
        | State::Archived { .. }
        | State::Deleted { .. }
        | State::DeactivatedOnly { .. } => {}
    }
}

/// Workers died on this user again and again; one more would, too.
async fn give_up(mut journal: CheckpointSession, deaths: u32) -> Result<Outcome, Interrupt> {
    let text = format!("{deaths} workers in a row died while they worked on this user");
    let failure = Failure::new(Class::Permanent(Reason::Poison), Code::Panicked, text);
    let checkpoint = journal.checkpoint_mut();
    checkpoint.give_up(Reason::Poison, failure.clone(), Timestamp::now());
    let (state, attempts) = (checkpoint.state.name(), checkpoint.attempts);
    journal.save().await?;
    Ok(Outcome::DeadLetter {
        reason: Reason::Poison,
        failure,
        state,
        attempts,
    })
}

/// A checkpoint that this release must not touch: nothing is saved over it.
const fn unreadable(failure: Failure) -> Outcome {
    Outcome::DeadLetter {
        reason: Reason::Poison,
        failure,
        state: StateName::Received,
        attempts: 0,
    }
}

/// Keeps the lease while a long step runs; says so when it is lost.
fn renew(
    checkpoints: Arc<dyn Checkpoints>,
    lease: Lease,
    lost: tokio_util::sync::CancellationToken,
) -> AbortOnDropHandle<()> {
    AbortOnDropHandle::new(tokio::spawn(async move {
        let ttl = checkpoints.lease_ttl();
        let mut ticks = tokio::time::interval(ttl / 3);
        let mut renewed = tokio::time::Instant::now();
        ticks.tick().await;
        loop {
            ticks.tick().await;
            match checkpoints.renew(&lease).await {
                Ok(true) => renewed = tokio::time::Instant::now(),
                Ok(false) => break,
                Err(failure) => {
                    tracing::warn!(user_id = %lease.user_id, %failure, "the lease was not renewed");
                    if renewed.elapsed() >= ttl {
                        break;
                    }
                }
            }
        }
        tracing::warn!(user_id = %lease.user_id, "the lease is lost; this worker does nothing more to the user");
        lost.cancel();
    }))
}
