//! Shows one user: a summary, then step by step.

use jiff::Timestamp;

use super::columns;
use super::output::{Shown, say, table, time};
use crate::guards::Hold;
use crate::job::Action;
use crate::machine::{Call, Cancelled, Deletion, Reactivation};
use crate::operations::status::{Progress, UserStatus};
use crate::operations::times;

/// Shows what was asked, what became of it, and each completed step. The calls to CXone are many, and few readers need
/// them.
pub(super) fn timeline(status: &UserStatus, calls: bool, now: Timestamp) {
    let Some(progress) = &status.progress else {
        return;
    };
    let state = status
        .state
        .map_or_else(String::new, |state| format!("  {state}"));
    say(format!(
        "{}{state}  {}",
        status.user_id,
        what_now(status, now)
    ));
    say(asked_for(progress, now));
    say(format!("access    {}", access(status, now)));
    if let Some(archive) = &progress.archive {
        say(format!(
            "archived  {} conversations, {} bytes, sha256 {}",
            archive.conversations, archive.bytes, archive.sha256
        ));
        say(format!(
            "          {}/{}",
            archive.location.trim_end_matches('/'),
            archive.key
        ));
    }
    if let Some(deletion) = &progress.deletion {
        say(format!("deletion  {}", of_deletion(deletion)));
    }
    if let Some(manifest) = &progress.manifest {
        say(format!(
            "manifest  {}, sha256 {}",
            manifest.key, manifest.sha256
        ));
    }
    if let Some(Hold { who, why, at, .. }) = &status.hold {
        let why = why
            .as_ref()
            .map_or_else(String::new, |why| format!(": {why}"));
        say(format!(
            "hold      since {at:.0} by {who}{why}; deactivated and archived, not deleted"
        ));
    }
    if !progress.steps.is_empty() {
        let steps = progress.steps.iter().map(|step| {
            let took = step.completed_at.duration_since(step.started_at);
            [
                step.state.to_string(),
                time(step.completed_at),
                times::span(took),
                step.attempts.to_string(),
            ]
        });
        say(table(columns::STEPS, steps));
    }
    show_calls(progress, calls);
}

fn show_calls(progress: &Progress, shown: bool) {
    let done = progress
        .steps
        .iter()
        .flat_map(|step| step.calls.iter().map(|call| (step.state.as_str(), call)));
    let in_progress = progress
        .current_calls
        .iter()
        .map(|call| ("in progress", call));
    let calls: Vec<(&str, &Call)> = done.chain(in_progress).collect();
    if shown {
        for (step, call) in calls {
            say(line(step, call));
        }
    } else if !calls.is_empty() {
        say(format!(
            "{} calls to CXone; --calls shows them",
            calls.len()
        ));
    }
}

/// `refused: 409 compliance_hold`.
fn of_deletion(deletion: &Deletion) -> String {
    let word = serde_json::to_value(deletion.outcome).unwrap_or_default();
    let word = word.as_str().unwrap_or_default();
    let status = deletion.status.map(|status| status.to_string());
    let answer: Vec<String> = status.into_iter().chain(deletion.code.clone()).collect();
    if answer.is_empty() {
        word.to_owned()
    } else {
        format!("{word}: {}", answer.join(" "))
    }
}

/// Whether the user is done, waits, or is in progress, and why.
pub(super) fn what_now(status: &UserStatus, now: Timestamp) -> String {
    let waits = status.submitted.as_ref().map(|submitted| {
        let batch = submitted
            .batch_id
            .as_ref()
            .map_or_else(String::new, |batch| format!(" in batch {batch}"));
        format!("not begun,{batch} since {:.0}", submitted.at)
    });
    match (&status.progress, waits) {
        (Some(progress), None) => progress_now(progress, now),
        (Some(progress), Some(waits)) => {
            format!("{waits}; before: {}", progress_now(progress, now))
        }
        (None, Some(waits)) => waits,
        (None, None) => "unknown: no checkpoint, no manifest, not submitted".to_owned(),
    }
}

/// Who cancelled the request, and what becomes of its message.
fn cancellation(cancelled: &Cancelled, now: Timestamp) -> String {
    let Cancelled {
        at,
        who,
        why,
        batch_id,
        message_due,
        reactivation,
    } = cancelled;
    let batch = batch_id
        .as_ref()
        .map_or_else(String::new, |batch| format!(" with batch {batch}"));
    let why = why
        .as_ref()
        .map_or_else(String::new, |why| format!(": {why}"));
    let due = message_due.filter(|due| *due > now);
    let due = due.map_or_else(String::new, |due| {
        format!("; its message is dropped when it comes up at {due:.0}")
    });
    let back = reactivation.as_ref().map_or_else(String::new, given_back);
    format!(
        "cancelled{batch} by {who} at {at:.0} ({}){why}{due}{back}",
        times::ago(*at, now)
    )
}

fn given_back(reactivation: &Reactivation) -> String {
    let Reactivation {
        at,
        given_back,
        not_given_back,
        record,
    } = reactivation;
    format!("; reactivated at {at:.0}: {given_back} given back, {not_given_back} not, see {record}")
}

fn progress_now(progress: &Progress, now: Timestamp) -> String {
    if let Some(cancelled) = &progress.cancelled {
        return cancellation(cancelled, now);
    }
    let failure = progress.last_error.as_ref().map(ToString::to_string);
    if let Some(dead_letter) = &progress.dead_letter {
        return format!(
            "dead letter {} since {:.0} ({}): {}",
            dead_letter.reason,
            dead_letter.at,
            times::ago(dead_letter.at, now),
            failure.unwrap_or_default()
        );
    }
    if let Some(until) = progress.next_attempt {
        let why = failure
            .or_else(|| Some(progress.waits_for?.to_string()))
            .unwrap_or_else(|| "a guard".to_owned());
        return if until > now {
            format!("waits {}: {why}", times::due(until, now))
        } else {
            format!(
                "{}, no worker has continued it yet: {why}",
                times::due(until, now)
            )
        };
    }
    match (&progress.deletion, progress.finished) {
        (Some(deletion), true) => format!("done: {}", of_deletion(deletion)),
        (Some(deletion), false) => {
            format!(
                "done: {}, the manifest is not stored yet",
                of_deletion(deletion)
            )
        }
        (None, _) if progress.deletion_accepted => {
            "the deletion was accepted, and is not done yet".to_owned()
        }
        (None, _) => "in progress".to_owned(),
    }
}

/// Whether the user can still sign in, and for how long.
pub(super) fn access(status: &UserStatus, now: Timestamp) -> String {
    let Some(progress) = &status.progress else {
        return status.submitted.as_ref().map_or_else(
            || "unknown".to_owned(),
            |asked| {
                format!(
                    "still there, for {}",
                    times::span(now.duration_since(asked.at))
                )
            },
        );
    };
    let asked = progress
        .request
        .requested_at
        .or(progress.request.received_at);
    match (progress.access_removed_at, asked) {
        (Some(gone), Some(asked)) => {
            format!("gone after {}", times::span(gone.duration_since(asked)))
        }
        (Some(gone), None) => format!("gone at {gone:.0}"),
        (None, _) if progress.is_unknown_user() => "none: CXone does not know the user".to_owned(),
        (None, Some(asked)) => {
            format!(
                "still there, for {}",
                times::span(now.duration_since(asked))
            )
        }
        (None, None) => "still there".to_owned(),
    }
}

fn asked_for(progress: &Progress, now: Timestamp) -> String {
    let request = &progress.request;
    let action = match request.action {
        Action::Delete => "delete",
        Action::Deactivate => "deactivate",
    };
    let asked = request.requested_at.or(request.received_at);
    let parts = [
        asked.map(|at| format!("at {at:.0} ({})", times::ago(at, now))),
        request.requested_by.as_ref().map(|who| format!("by {who}")),
        request
            .batch_id
            .as_ref()
            .map(|batch| format!("in the batch {batch}")),
        request
            .delete_after
            .map(|at| format!("not deleted before {at:.0}")),
        (progress.revision > 1).then(|| format!("revision {}", progress.revision)),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();

    format!("asked     {action}, {}", parts.join(", "))
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
        format!("{at:.0}  {status}  {method} {path}"),
        format!("    for {step}, correlation ID {id}"),
    ];

    lines.into_iter().collect()
}
