//! The diagram and the table of `state-machine.md`, made by calling [`transition()`] with every state
//! and every event.

mod inputs;
#[cfg(test)]
mod tests;

use std::fmt::Write as _;
use std::time::Duration;

use super::{
    Context, Delay, DeletionOutcome, Effect, Event, RetryPolicy, State, Step, Verdict, transition,
};
use crate::failure::Reason;
use crate::job::Action;
use crate::limits::DeletePolicy;
use inputs::{events, failures, label, states};

/// In this state, on this event, under this condition.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Row {
    from: String,
    event: String,
    to: String,
    effect: String,
}

const fn effect_text(effect: &Effect) -> &'static str {
    match effect {
        Effect::Step(step) => step_text(step),
        Effect::Withhold(outcome) => match outcome {
            DeletionOutcome::NotRequested => "withhold: not requested",
            DeletionOutcome::NotOffered => "withhold: the tenant deletes nobody",
            DeletionOutcome::Held => "withhold: something is left over",
            DeletionOutcome::Deleted | DeletionOutcome::AlreadyGone | DeletionOutcome::Refused => {
                "withhold"
            }
        },
        Effect::End(verdict) => verdict_text(verdict),
    }
}

const fn step_text(step: &Step) -> &'static str {
    match step {
        Step::LookBack => "search the store for what an earlier run left",
        Step::LookAgain => "read whether the user is active again",
        Step::ClearQueues => "clear the queues",
        Step::Deactivate => "deactivate",
        Step::Archive => "archive",
        Step::Seal => "ask the guards, seal the evidence",
        Step::Delete { maybe_sent: false } => "ask the guards, delete",
        Step::Delete { maybe_sent: true } => "read whether the DELETE was done, else delete",
        Step::ConfirmDeletion => "read until the user is gone",
        Step::Record => "store the manifest",
    }
}

const fn verdict_text(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Delay(Delay::Retry {
            spends_attempt: true,
            ..
        }) => "delay, an attempt is spent",
        Verdict::Delay(Delay::Retry {
            spends_attempt: false,
            ..
        }) => "delay, no attempt is spent",
        Verdict::Delay(Delay::Until { .. }) => "delay until then",
        Verdict::DeadLetter { reason, .. } => match reason {
            Reason::UserNotFound => "dead letter `user_not_found`",
            Reason::RetriesExhausted => "dead letter `retries_exhausted`",
            Reason::ApiRejected => "dead letter with the failure's reason",
            Reason::Poison => "dead letter `poison`",
            Reason::MalformedMessage | Reason::ProtectedUser | Reason::ArchiveConflict => {
                "dead letter"
            }
        },
        Verdict::Finish => "settle",
        Verdict::Cancel => "settle, as cancelled",
    }
}

const RETRY: RetryPolicy = RetryPolicy {
    max_attempts: 8,
    base: Duration::from_secs(2),
    cap: Duration::from_mins(15),
};

/// What a transition depends on, where it is not the usual case.
struct Condition {
    /// Empty for the usual case.
    text: &'static str,
    action: Action,
    delete: DeletePolicy,
    resubmitted: bool,
}

const USUAL: Condition = Condition {
    text: "",
    action: Action::Delete,
    delete: DeletePolicy::Attempt,
    resubmitted: false,
};

const CONDITIONS: [Condition; 4] = [
    USUAL,
    Condition {
        text: "action `deactivate`",
        action: Action::Deactivate,
        ..USUAL
    },
    Condition {
        text: "`OFFBOARDER_GUARD_DELETE=never`",
        delete: DeletePolicy::Never,
        ..USUAL
    },
    Condition {
        text: "the deletion is asked for again",
        resubmitted: true,
        ..USUAL
    },
];

impl Condition {
    const fn context(&self, attempts: u32) -> Context<'static> {
        Context {
            action: self.action,
            delete: self.delete,
            retry: &RETRY,
            resubmitted: self.resubmitted,
            attempts,
            jitter: 0.5,
        }
    }
}

fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for (from, state) in states() {
        for (event, sample) in events() {
            rows.extend(rows_of(&from, &state, &event, &sample));
        }
    }

    for (text, event, attempts) in failures() {
        if let Ok(next) = transition(State::Received, event, &USUAL.context(attempts)) {
            rows.push(Row {
                from: "any".to_owned(),
                event: format!("StepFailed: {text}"),
                to: "the same".to_owned(),
                effect: effect_text(&next.effect).to_owned(),
            });
        }
    }
    rows
}

/// One row for the usual case, and one for each condition that changes it.
fn rows_of(from: &str, state: &State, event: &str, sample: &Event) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    for condition in CONDITIONS {
        let context = condition.context(0);
        let Ok(next) = transition(state.clone(), sample.clone(), &context) else {
            continue;
        };

        let row = Row {
            from: from.to_owned(),
            event: event.to_owned(),
            to: label(&next.state),
            effect: effect_text(&next.effect).to_owned(),
        };
        match rows.first() {
            None => rows.push(row),
            Some(usual) if *usual == row => {}
            Some(_) => rows.push(Row {
                event: format!("{event}, {}", condition.text),
                ..row
            }),
        }
    }
    rows
}

/// The transition table, as Markdown.
pub(super) fn table() -> String {
    let mut text =
        String::from("| state | event | next state | then |\n| --- | --- | --- | --- |\n");
    for row in rows() {
        // Writing to a String cannot fail.
        writeln!(
            text,
            "| {} | {} | {} | {} |",
            row.from, row.event, row.to, row.effect
        )
        .ok();
    }
    text
}

/// The diagram, as Mermaid: every change of state that an event can cause.
pub(super) fn diagram() -> String {
    let mut text = String::from("stateDiagram-v2\n    [*] --> Received\n");
    let base = |label: &str| label.split(' ').next().unwrap_or_default().to_owned();
    let mut seen = Vec::new();
    for row in rows() {
        let event = row.event.split(',').next().unwrap_or_default().to_owned();
        let edge = (base(&row.from), base(&row.to), event);
        if edge.0 != edge.1 && edge.0 != "any" && !seen.contains(&edge) {
            writeln!(text, "    {} --> {}: {}", edge.0, edge.1, edge.2).ok();
            seen.push(edge);
        }
    }
    text.push_str(
        "    Deleted --> [*]: ManifestStored\n    DeactivatedOnly --> [*]: ManifestStored\n",
    );
    text
}

/// The text between the markers of `state-machine.md`.
pub(super) fn document_section() -> String {
    format!("```mermaid\n{}```\n\n{}", diagram(), table())
}
