use serde_json::json;

use super::compose;
use super::exit::{CliError, Exit};
use super::output::{Output, OutputArgs, json as print_json, say, table};
use super::timeline::timeline;
use crate::config::Settings;
use crate::job::UserId;
use crate::machine::{Checkpoint, Sealing, State, StateName};
use crate::operations::status::{Known, UserStatus};
use crate::registers::hold_of;

/// Shows how far users are: state, history, archive, last error, next attempt
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  offboarder status 3f1f0d4e-9a51-4b4b-8f6c-1f9a4f9b7c11
  offboarder status ID1 ID2 --output json")]
pub(crate) struct Args {
    /// User IDs
    #[arg(value_name = "USER_ID", required = true)]
    users: Vec<UserId>,
    #[command(flatten)]
    output: OutputArgs,
}

pub(super) async fn run(args: &Args, settings: &Settings) -> Result<Exit, CliError> {
    let checkpoints = compose::checkpoints(settings)?;
    let store = compose::archive_store(settings).await?;
    let mut users = Vec::new();
    let mut holds = Vec::new();
    for user_id in &args.users {
        users.push((
            *user_id,
            Known::look_up(*user_id, &*checkpoints, &*store).await?,
        ));
        holds.push(hold_of(&*store, *user_id).await?);
    }
    let unknown = users
        .iter()
        .any(|(_, known)| matches!(known, Known::Nothing));
    match (args.output.output, users.as_slice()) {
        (Output::Json, _) => {
            let users = users.iter().zip(holds);
            let users: Vec<UserStatus> = users
                .map(|((user_id, known), hold)| UserStatus::of(*user_id, known, hold))
                .collect();
            print_json(&json!({ "users": users }))?;
        }
        (Output::Table, [(_, Known::Checkpoint(checkpoint))]) => {
            timeline(checkpoint, holds.first().and_then(Option::as_ref));
        }
        (Output::Table, _) => {
            let rows = users.iter().map(|(user_id, known)| row(*user_id, known));
            say(table(["user", "state", "attempts", "what now"], rows));
        }
    }
    Ok(if unknown { Exit::Bad } else { Exit::Ok })
}

/// What a reader wants to know first.
pub(super) fn what_now(checkpoint: &Checkpoint) -> String {
    if let Some(letter) = &checkpoint.dead_letter {
        let why = checkpoint
            .last_failure
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default();
        return format!("dead letter {} since {}: {why}", letter.reason, letter.at);
    }
    if let Some(until) = checkpoint.waiting_until {
        let failure = checkpoint.last_failure.as_ref().map(ToString::to_string);
        let why = failure
            .or_else(|| Some(checkpoint.pause?.to_string()))
            .unwrap_or_else(|| "a guard".to_owned());
        return format!("waits until {until}: {why}");
    }
    match &checkpoint.state {
        State::Deleted { deletion, .. } | State::DeactivatedOnly { deletion, .. } => {
            let word = serde_json::to_value(deletion.outcome).unwrap_or_default();
            let recorded = if checkpoint.state.is_finished() {
                ""
            } else {
                ", manifest still to be stored"
            };
            format!("done: {}{recorded}", word.as_str().unwrap_or_default())
        }
        State::Archived {
            sealing: Sealing::Accepted { .. },
            ..
        } => "the deletion is accepted, not yet done".to_owned(),
        State::Received
        | State::QueuesCleared { .. }
        | State::Deactivated { .. }
        | State::Archived { .. } => "under way".to_owned(),
    }
}

fn row(user_id: UserId, known: &Known) -> [String; 4] {
    let id = user_id.to_string();
    match known {
        Known::Checkpoint(checkpoint) => [
            id,
            checkpoint.state.name().to_string(),
            checkpoint.attempts.to_string(),
            what_now(checkpoint),
        ],
        Known::Manifest(manifest, reference) => {
            let told = format!("done, says the manifest {}", reference.key);
            [
                id,
                StateName::from(manifest.status).to_string(),
                String::new(),
                told,
            ]
        }
        Known::Nothing => [
            id,
            String::new(),
            String::new(),
            "unknown: no checkpoint, no manifest".to_owned(),
        ],
    }
}
