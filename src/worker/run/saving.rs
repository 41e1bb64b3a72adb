//! Saves the checkpoint as planned, in the round trip that does most.

use super::commands::{Command, Commands, Save};
use crate::job::Job;
use crate::machine::Step;
use crate::steps::{CheckpointSession, Interrupt};

pub(super) async fn save(
    commands: &Commands,
    session: &mut CheckpointSession,
    job: &Job,
) -> Result<(), Interrupt> {
    if commands.save == Save::WithTheNext {
        session.save_with_the_next();
        Ok(())
    } else if ends_with_save(commands, session, job) {
        session.save_and_release().await
    } else if matches!(commands.then, Command::Perform(Step::Delete { .. })) {
        session.save_intent().await
    } else {
        session.save().await
    }
}

/// Whether nothing follows from the save that needs the lease.
fn ends_with_save(commands: &Commands, session: &CheckpointSession, job: &Job) -> bool {
    let batch = &job.request.batch_id;
    matches!(commands.then, Command::End(_))
        && !session.access_is_hearsay()
        && (batch.is_none() || session.checkpoint().request.batch_id == *batch)
}
