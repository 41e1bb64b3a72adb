//! Shows one user, step by step.

use jiff::Timestamp;

use super::output::{Shown, say, table};
use crate::guards::Hold;
use crate::job::Action;
use crate::machine::{Call, Checkpoint, Sealing, State};

/// Shows each completed step with its time and its API calls, what the user waits for, and what was stored.
pub(super) fn timeline(checkpoint: &Checkpoint, hold: Option<&Hold>) {
    say(format!(
        "{}  {}  {}",
        checkpoint.user_id,
        checkpoint.state.name(),
        what_now(checkpoint)
    ));
    say(asked_for(checkpoint));
    if let Some(Hold { who, why, at, .. }) = hold {
        let why = why
            .as_ref()
            .map_or_else(String::new, |why| format!(": {why}"));
        say(format!(
            "hold      since {at} by {who}{why}; deactivated and archived, not deleted"
        ));
    }
    let steps = checkpoint.steps.iter().map(|step| {
        let took = step.completed_at.duration_since(step.started_at);
        [
            step.state.to_string(),
            step.completed_at.to_string(),
            format!("{:.1} s", took.as_secs_f64()),
            step.attempts.to_string(),
        ]
    });
    say(table(["state", "completed", "took", "attempts"], steps));

    let done = checkpoint
        .steps
        .iter()
        .flat_map(|step| step.calls.iter().map(|call| (step.state.as_str(), call)));
    let in_progress = checkpoint
        .step
        .calls
        .iter()
        .map(|call| ("in progress", call));
    for (step, call) in done.chain(in_progress) {
        say(line(step, call));
    }
    if let Some(archive) = checkpoint.state.archive() {
        say(format!(
            "archive   {}/{}",
            archive.location.trim_end_matches('/'),
            archive.key
        ));
        say(format!(
            "          {} conversations, {} bytes, sha256 {}",
            archive.conversations, archive.bytes, archive.sha256
        ));
    }
    if let Some(manifest) = checkpoint.state.manifest() {
        say(format!("manifest  {}", manifest.key));
        say(format!("          sha256 {}", manifest.sha256));
    }
}

/// Whether the user is done, waits, or is in progress, and why.
pub(super) fn what_now(checkpoint: &Checkpoint) -> String {
    if let Some(dead_letter) = &checkpoint.dead_letter {
        let why = checkpoint
            .last_failure
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default();
        return format!(
            "dead letter {} since {}: {why}",
            dead_letter.reason, dead_letter.at
        );
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
                ", the manifest is not stored yet"
            };
            format!("done: {}{recorded}", word.as_str().unwrap_or_default())
        }
        State::Archived {
            sealing: Sealing::Accepted { .. },
            ..
        } => "the deletion was accepted, and is not done yet".to_owned(),
        State::Received
        | State::QueuesCleared { .. }
        | State::Deactivated { .. }
        | State::Archived { .. } => "in progress".to_owned(),
    }
}

fn asked_for(checkpoint: &Checkpoint) -> String {
    let request = &checkpoint.request;
    let action = match request.action {
        Action::Delete => "delete",
        Action::Deactivate => "deactivate",
    };
    let asked = request.requested_at.or(request.received_at);
    let parts = [
        Some(format!("revision {}", checkpoint.revision)),
        asked.map(|at: Timestamp| format!("requested at {at}")),
        request.requested_by.as_ref().map(|who| format!("by {who}")),
        request
            .batch_id
            .as_ref()
            .map(|batch| format!("in the batch {batch}")),
        request
            .delete_after
            .map(|at| format!("not deleted before {at}")),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();

    format!("request   {action}, {}", parts.join(", "))
}

/// Not a table: users copy paths and IDs, which are too long for columns.
fn line(step: &str, call: &Call) -> Shown {
    let id = call.correlation_id.as_deref().unwrap_or("none");
    let Call {
        method,
        path,
        status,
        at,
        ..
    } = call;
    let lines = [
        format!("{at:.3}  {status}  {method} {path}"),
        format!("    for {step}, correlation ID {id}"),
    ];

    lines.into_iter().collect()
}
