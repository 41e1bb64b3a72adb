use serde_json::{Value, json};

use super::compose;
use super::exit::{CliError, Exit};
use super::hold::hold_of;
use super::output::{Output, OutputArgs, json as print_json, say, table};
use super::timeline::timeline;
use crate::config::Settings;
use crate::guards::Hold;
use crate::job::UserId;
use crate::machine::{Archive, Checkpoint, Deletion, Sealing, State, StateName};
use crate::manifest::{Kind, Manifest, Status, audit_key, parse_key};
use crate::ports::{ArchiveStore, Checkpoints};

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

const MAX_MANIFEST_BYTES: usize = 4 * 1024 * 1024;

/// What is known of one user.
enum Known {
    Checkpoint(Box<Checkpoint>),
    /// The checkpoint is gone, and the latest manifest tells the end.
    Manifest(Box<Manifest>, String),
    Nothing,
}

pub(super) async fn run(args: &Args, settings: &Settings) -> Result<Exit, CliError> {
    let checkpoints = compose::checkpoints(&settings.checkpoints, settings.worker.lease)?;
    let store = compose::archive_store(&settings.archive).await?;
    let mut users = Vec::new();
    let mut holds = Vec::new();
    for user_id in &args.users {
        users.push((*user_id, look_up(*user_id, &*checkpoints, &*store).await?));
        holds.push(hold_of(&store, *user_id).await?);
    }
    let unknown = users.iter().any(|(_, known)| matches!(known, Known::Nothing));
    match (args.output.output, users.as_slice()) {
        (Output::Json, _) => {
            let users = users.iter().zip(&holds);
            let users: Vec<Value> =
                users.map(|((user_id, known), hold)| document(*user_id, known, hold.as_ref())).collect();
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

async fn look_up(
    user_id: UserId,
    checkpoints: &dyn Checkpoints,
    store: &dyn ArchiveStore,
) -> Result<Known, CliError> {
    if let Some(checkpoint) = checkpoints.read(user_id).await? {
        return Ok(Known::Checkpoint(Box::new(checkpoint)));
    }
    let keys = store.keys(&user_id.to_string()).await?;
    let stored = keys.iter().filter_map(|key| parse_key(user_id, key));
    let revisions = stored.filter(|(kind, _)| *kind == Kind::Audit).map(|(_, revision)| revision);
    let Some(latest) = revisions.max() else { return Ok(Known::Nothing) };
    let key = audit_key(user_id, latest);
    let manifest = store
        .read(&key, MAX_MANIFEST_BYTES)
        .await?
        .and_then(|bytes| serde_json::from_slice::<Manifest>(&bytes).ok());
    Ok(manifest.map_or(Known::Nothing, |manifest| Known::Manifest(Box::new(manifest), store.full_key(&key))))
}

pub(super) fn archive_of(state: &State) -> Option<&Archive> {
    match state {
        State::Received | State::QueuesCleared { .. } | State::Deactivated { .. } => None,
        State::Archived { archive, .. }
        | State::Deleted { archive, .. }
        | State::DeactivatedOnly { archive, .. } => Some(archive),
    }
}

fn deletion_of(state: &State) -> Option<&Deletion> {
    match state {
        State::Deleted { deletion, .. } | State::DeactivatedOnly { deletion, .. } => Some(deletion),
        State::Received
        | State::QueuesCleared { .. }
        | State::Deactivated { .. }
        | State::Archived { .. } => None,
    }
}

/// What a reader wants to know first.
pub(super) fn what_now(checkpoint: &Checkpoint) -> String {
    if let Some(letter) = &checkpoint.dead_letter {
        let why = checkpoint.last_failure.as_ref().map(ToString::to_string).unwrap_or_default();
        return format!("dead letter {} since {}: {why}", letter.reason, letter.at);
    }
    if let Some(until) = checkpoint.waiting_until {
        let failure = checkpoint.last_failure.as_ref().map(ToString::to_string);
        let why =
            failure.or_else(|| Some(checkpoint.pause?.to_string())).unwrap_or_else(|| "a guard".to_owned());
        return format!("waits until {until}: {why}");
    }
    match &checkpoint.state {
        State::Deleted { deletion, .. } | State::DeactivatedOnly { deletion, .. } => {
            let word = serde_json::to_value(deletion.outcome).unwrap_or_default();
            let recorded = if checkpoint.state.is_finished() { "" } else { ", manifest still to be stored" };
            format!("done: {}{recorded}", word.as_str().unwrap_or_default())
        }
        State::Archived { sealing: Sealing::Accepted { .. }, .. } => {
            "the deletion is accepted, not yet done".to_owned()
        }
        State::Received
        | State::QueuesCleared { .. }
        | State::Deactivated { .. }
        | State::Archived { .. } => "under way".to_owned(),
    }
}

fn row(user_id: UserId, known: &Known) -> [String; 4] {
    let id = user_id.to_string();
    match known {
        Known::Checkpoint(checkpoint) => {
            [id, checkpoint.state.name().to_string(), checkpoint.attempts.to_string(), what_now(checkpoint)]
        }
        Known::Manifest(manifest, key) => {
            [id, state_of(manifest).to_string(), String::new(), format!("done, says the manifest {key}")]
        }
        Known::Nothing => {
            [id, String::new(), String::new(), "unknown: no checkpoint, no manifest".to_owned()]
        }
    }
}

const fn state_of(manifest: &Manifest) -> StateName {
    match manifest.status {
        Status::Deleted => StateName::Deleted,
        Status::DeactivatedOnly => StateName::DeactivatedOnly,
    }
}

fn document(user_id: UserId, known: &Known, hold: Option<&Hold>) -> Value {
    let mut document = match known {
        Known::Checkpoint(checkpoint) => json!({
            "userId": user_id,
            "state": checkpoint.state.name(),
            "finished": checkpoint.state.is_finished(),
            "revision": checkpoint.revision,
            "request": checkpoint.request,
            "steps": checkpoint.steps,
            "attempts": checkpoint.attempts,
            "lastError": checkpoint.last_failure,
            "nextAttempt": checkpoint.waiting_until,
            "waitsFor": checkpoint.pause,
            "callsInProgress": checkpoint.step.calls,
            "waitsFor": checkpoint.pause,
            "deadLetter": checkpoint.dead_letter,
            "archive": archive_of(&checkpoint.state),
            "deletion": deletion_of(&checkpoint.state),
            "manifest": checkpoint.state.manifest(),
            "updatedAt": checkpoint.updated_at,
        }),
        Known::Manifest(manifest, key) => json!({
            "userId": user_id,
            "state": state_of(manifest),
            "finished": true,
            "revision": manifest.revision,
            "request": manifest.request,
            "steps": manifest.steps,
            "archive": manifest.archive,
            "deletion": manifest.deletion,
            "manifest": { "key": key },
        }),
        Known::Nothing => json!({ "userId": user_id, "state": null }),
    };
    if let Some(document) = document.as_object_mut() {
        document.insert("hold".to_owned(), json!(hold));
    }
    document
}
