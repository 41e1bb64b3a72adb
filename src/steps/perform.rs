//! Does the step that the machine asks for.

use super::{
    CheckpointSession, Services, Stopped, archive, clear_queues, confirm_deletion, deactivate,
    delete, look_back, record, seal,
};
use crate::job::Job;
use crate::machine::{Call, Event, Step};

/// Does one step, and reports what happened.
pub(crate) async fn perform(
    step: &Step,
    services: &Services,
    session: &mut CheckpointSession,
    job: &Job,
    calls: &mut Vec<Call>,
) -> Result<Event, Stopped> {
    match step {
        Step::LookBack => {
            let begins = session.checkpoint().evidence_revision;
            look_back::look_back(services, job, begins).await
        }
        Step::LookAgain => look_back::look_again(services, session.checkpoint()).await,
        Step::ClearQueues => {
            match clear_queues::clear_queues(services, session.checkpoint_mut(), calls).await? {
                // Where Redis forgot, another worker may have deleted the user since the first look.
                Event::UserNotFound => gone(services, session, job).await,
                cleared => Ok(cleared),
            }
        }
        Step::Deactivate => {
            deactivate::deactivate(services, session.checkpoint_mut(), job, calls).await
        }
        Step::Archive => Box::pin(archive::archive(services, session)).await,
        Step::Seal => Box::pin(seal::seal(services, session, job, calls)).await,
        Step::Delete { maybe_sent } => {
            Box::pin(delete::delete(services, session, job, *maybe_sent, calls)).await
        }
        Step::ConfirmDeletion => confirm_deletion::confirm_deletion(services, session, calls).await,
        Step::Record => record::record(services, session, calls).await,
    }
}

/// What is stored of a user whom the API does not know.
async fn gone(
    services: &Services,
    session: &CheckpointSession,
    job: &Job,
) -> Result<Event, Stopped> {
    let begins = session.checkpoint().evidence_revision;
    match look_back::look_back(services, job, begins).await? {
        Event::NoPriorEvidence(_) => Ok(Event::UserNotFound),
        found => Ok(found),
    }
}
