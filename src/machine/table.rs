//! The diagram and the table of `state-machine.md`, made by asking [`transition()`] about every
//! state and every event.

use std::fmt::Write as _;
use std::time::Duration;

use jiff::Timestamp;

use super::{
    AccessRemoved, Archive, Beginning, Context, Deletion, DeletionOutcome, Effect, Event,
    ManifestRef, Pause, PriorEvidence, QueuesCleared, Recording, RetryPolicy, Seal, Sealing, State,
    Wait, transition,
};
use crate::failure::{Class, Code, Failure, Reason};
use crate::job::{Action, Request};
use crate::limits::DeletePolicy;

/// A row: in this state, on this event, under this condition.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Row {
    from: String,
    event: String,
    to: String,
    effect: String,
}

fn samples_of_evidence() -> (AccessRemoved, Archive, Deletion, Seal) {
    let at = Timestamp::UNIX_EPOCH;
    let queues = QueuesCleared {
        confirmed: true,
        residual: Vec::new(),
    };
    let access = AccessRemoved {
        queues,
        scim_active: Some(false),
        at,
    };
    let archive = Archive {
        location: String::new(),
        key: String::new(),
        version_id: None,
        bytes: 0,
        conversations: 0,
        pages: 0,
        sha256: String::new(),
        date_from: at,
        date_to: at,
        retention: None,
        etag: None,
        crc32c: None,
        quiet_until: None,
    };
    let deletion = Deletion::without_call(DeletionOutcome::Deleted);
    (
        access,
        archive,
        deletion,
        Seal {
            key: String::new(),
            at,
        },
    )
}

fn states() -> Vec<(String, State)> {
    let (access, archive, deletion, seal) = samples_of_evidence();
    let mut leftover = access.clone();
    leftover.queues.confirmed = false;
    let manifest = ManifestRef {
        key: String::new(),
        sha256: String::new(),
    };
    let archived = |sealing| State::Archived {
        access: access.clone(),
        archive: archive.clone(),
        sealing,
    };
    let ended = |deleted: bool, recording| {
        let (access, archive, deletion) = (access.clone(), archive.clone(), deletion.clone());
        if deleted {
            State::Deleted {
                access,
                archive,
                deletion,
                recording,
            }
        } else {
            State::DeactivatedOnly {
                access,
                archive,
                deletion,
                recording,
            }
        }
    };
    let recorded = || Recording::Recorded {
        manifest: manifest.clone(),
    };
    let mut all: Vec<State> = vec![
        State::Received,
        State::QueuesCleared {
            queues: access.queues.clone(),
        },
        State::Deactivated {
            access: access.clone(),
        },
        State::Deactivated {
            access: leftover.clone(),
        },
        archived(Sealing::Unsealed),
        State::Archived {
            access: leftover,
            archive: archive.clone(),
            sealing: Sealing::Unsealed,
        },
        archived(Sealing::Sealed { seal: seal.clone() }),
        archived(Sealing::Accepted {
            seal,
            deletion: deletion.clone(),
        }),
    ];
    for deleted in [true, false] {
        all.push(ended(deleted, Recording::Unrecorded));
        all.push(ended(deleted, recorded()));
    }
    all.into_iter()
        .map(|state| (label(&state), state))
        .collect()
}

/// A state with its phase, as the document names it.
fn label(state: &State) -> String {
    let phase = match state {
        State::Received | State::QueuesCleared { .. } => "",
        State::Deactivated { access } if access.queues.confirmed => "",
        State::Deactivated { .. } => " (queues left over)",
        State::Archived {
            sealing: Sealing::Unsealed,
            access,
            ..
        } if !access.queues.confirmed => " (queues left over)",
        State::Archived { sealing, .. } => match sealing {
            Sealing::Unsealed => "",
            Sealing::Sealed { .. } => " (sealed)",
            Sealing::Accepted { .. } => " (deletion accepted)",
        },
        State::Deleted { recording, .. } | State::DeactivatedOnly { recording, .. } => {
            match recording {
                Recording::Unrecorded => "",
                Recording::Recorded { .. } => " (recorded)",
            }
        }
    };
    format!("{}{phase}", state.name())
}

fn events() -> Vec<(String, Event)> {
    let (access, archive, deletion, seal) = samples_of_evidence();
    let manifest = ManifestRef {
        key: String::new(),
        sha256: String::new(),
    };
    let plain = [
        Event::Resumed,
        Event::UserNotFound,
        Event::QueuesCleared(access.queues.clone()),
        Event::UserDeactivated(access),
        Event::ArchiveStored(archive),
        Event::EvidenceSealed(seal),
        Event::DeletionAccepted(deletion.clone()),
        Event::StepPostponed {
            until: Timestamp::UNIX_EPOCH,
            why: Pause::NotDue,
        },
        Event::UserDeleted(deletion.clone()),
        Event::DeletionWithheld(deletion),
        Event::ManifestStored(manifest),
        Event::UserReturned,
        Event::UserStayedAway,
        Event::AccessReturned,
    ];
    let beginning = Beginning {
        revision: 1,
        previous: None,
    };
    let traces = states().into_iter().filter_map(|(label, state)| {
        let is_traced = label == "Archived (sealed)" || state.is_finished();
        let traces = PriorEvidence {
            revision: 1,
            set: 1,
            previous: None,
            request: Request::default(),
            steps: Vec::new(),
            state,
        };
        is_traced.then(|| {
            (
                format!("PriorEvidenceFound: {label}"),
                Event::PriorEvidenceFound(Box::new(traces)),
            )
        })
    });
    let missed = (
        "NoPriorEvidence".to_owned(),
        Event::NoPriorEvidence(beginning),
    );
    let looked_back = std::iter::once(missed).chain(traces).collect::<Vec<_>>();
    let plain = plain
        .into_iter()
        .map(|event| (event.name().to_owned(), event));
    looked_back.into_iter().chain(plain).collect()
}

fn failures() -> Vec<(&'static str, Event, u32)> {
    let failed = |class| Event::StepFailed(Failure::new(class, Code::CxoneServerError, ""));
    vec![
        ("transient or unknown outcome", failed(Class::Transient), 0),
        (
            "the same, at the last attempt",
            failed(Class::Transient),
            u32::MAX,
        ),
        ("throttled", failed(Class::Throttled), 0),
        (
            "refused for this user, for good",
            failed(Class::Permanent(Reason::ApiRejected)),
            0,
        ),
        ("a defect of ours", failed(Class::Defect), 0),
    ]
}

const fn effect_text(effect: &Effect) -> &'static str {
    match effect {
        Effect::LookBack => "look in the store for what an earlier run left",
        Effect::LookAgain => "look whether the user is active again",
        Effect::ClearQueues => "clear the queues",
        Effect::Deactivate => "deactivate",
        Effect::Archive => "archive",
        Effect::Seal => "look at the guards, seal the evidence",
        Effect::Delete { maybe_sent: false } => "look at the guards, delete",
        Effect::Delete { maybe_sent: true } => "read whether the DELETE was done, else delete",
        Effect::ConfirmDeletion => "read until the user is gone",
        Effect::Withhold(DeletionOutcome::NotRequested) => "withhold: not requested",
        Effect::Withhold(DeletionOutcome::NotOffered) => "withhold: the tenant deletes nobody",
        Effect::Withhold(DeletionOutcome::Held) => "withhold: something is left over",
        Effect::Withhold(
            DeletionOutcome::Deleted | DeletionOutcome::AlreadyGone | DeletionOutcome::Refused,
        ) => "withhold",
        Effect::Record => "store the manifest",
        Effect::Wait(Wait::Retry {
            spends_attempt: true,
            ..
        }) => "wait, an attempt is spent",
        Effect::Wait(Wait::Retry {
            spends_attempt: false,
            ..
        }) => "wait, no attempt is spent",
        Effect::Wait(Wait::Until { .. }) => "wait until then",
        Effect::DeadLetter(reason) => match reason {
            Reason::UserNotFound => "dead letter `user_not_found`",
            Reason::RetriesExhausted => "dead letter `retries_exhausted`",
            Reason::ApiRejected => "dead letter with the failure's reason",
            Reason::Poison => "dead letter `poison`",
            Reason::MalformedMessage | Reason::ProtectedUser | Reason::ArchiveConflict => {
                "dead letter"
            }
        },
        Effect::Finish => "settle",
    }
}

fn rows() -> Vec<Row> {
    let retry = RetryPolicy {
        max_attempts: 8,
        base: Duration::from_secs(2),
        cap: Duration::from_mins(15),
    };
    let ask = |state: &State, event: &Event, action, delete, resubmitted, attempts| {
        let context = Context {
            action,
            delete,
            retry: &retry,
            resubmitted,
            attempts,
            jitter: 0.5,
        };
        transition(state.clone(), event.clone(), &context).ok()
    };
    let mut rows: Vec<Row> = Vec::new();
    let conditions = [
        ("", Action::Delete, DeletePolicy::Attempt, false),
        (
            "action `deactivate`",
            Action::Deactivate,
            DeletePolicy::Attempt,
            false,
        ),
        (
            "`OFFBOARDER_GUARD_DELETE=never`",
            Action::Delete,
            DeletePolicy::Never,
            false,
        ),
        (
            "the deletion is asked for once more",
            Action::Delete,
            DeletePolicy::Attempt,
            true,
        ),
    ];
    for (from, state) in states() {
        for (event, sample) in events() {
            let mut usual: Option<Row> = None;
            for (condition, action, delete, resubmitted) in conditions {
                let Some(next) = ask(&state, &sample, action, delete, resubmitted, 0) else {
                    continue;
                };
                let row = Row {
                    from: from.clone(),
                    event: event.clone(),
                    to: label(&next.state),
                    effect: effect_text(&next.effect).to_owned(),
                };
                match &usual {
                    None => {
                        rows.push(row.clone());
                        usual = Some(row);
                    }
                    Some(same) if *same == row => {}
                    Some(_) => rows.push(Row {
                        event: format!("{event}, {condition}"),
                        ..row
                    }),
                }
            }
        }
    }
    for (text, event, attempts) in failures() {
        if let Some(next) = ask(
            &State::Received,
            &event,
            Action::Delete,
            DeletePolicy::Attempt,
            false,
            attempts,
        ) {
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

/// The diagram, as Mermaid: every change of state that some event makes.
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

/// What stands between the markers of `state-machine.md`.
pub(super) fn document_section() -> String {
    format!("```mermaid\n{}```\n\n{}", diagram(), table())
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEGIN: &str = "<!-- generated: begin -->\n";
    const END: &str = "<!-- generated: end -->";

    /// `UPDATE_STATE_MACHINE=1 cargo test the_document` writes it anew.
    #[test]
    fn the_document_says_what_the_code_does() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/state-machine.md");
        let document = std::fs::read_to_string(path).unwrap();
        let (head, rest) = document.split_once(BEGIN).expect("the begin marker");
        let (section, tail) = rest.split_once(END).expect("the end marker");
        if std::env::var_os("UPDATE_STATE_MACHINE").is_some() {
            std::fs::write(
                path,
                format!("{head}{BEGIN}{}{END}{tail}", document_section()),
            )
            .unwrap();
            return;
        }
        assert!(
            section == document_section(),
            "state-machine.md is not what the code does; UPDATE_STATE_MACHINE=1 cargo test the_document writes it anew"
        );
    }

    /// All source text, with names as sentences.
    fn sources(directory: &std::path::Path) -> String {
        let entries = std::fs::read_dir(directory)
            .unwrap()
            .map(|entry| entry.unwrap().path());
        let read = entries.map(|path| match path.extension() {
            Some(extension) if extension == "rs" => {
                std::fs::read_to_string(&path).unwrap().replace('_', " ")
            }
            _ if path.is_dir() => sources(&path),
            _ => String::new(),
        });
        read.collect()
    }

    #[test]
    fn the_tests_that_the_documents_name_exist() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
        let documents = ["state-machine.md", "docs/faults.md", "docs/threat-model.md"];
        let document = documents
            .map(|path| std::fs::read_to_string(root.join(path)).unwrap())
            .concat();
        let sources = sources(&root.join("src")) + &sources(&root.join("tests"));
        let quoted: Vec<String> = document
            .split('“')
            .skip(1)
            .filter_map(|rest| rest.split('”').next())
            .map(|name| name.split_whitespace().collect::<Vec<_>>().join(" "))
            .collect();
        assert!(
            quoted.len() > 20,
            "the documents name their tests: {quoted:?}"
        );
        for name in quoted {
            assert!(
                sources.contains(&format!("\"{name}\""))
                    || sources.contains(&format!("fn {name}(")),
                "no test is called “{name}”"
            );
        }
    }

    #[test]
    fn no_event_leads_to_deleted_but_from_a_sealed_archive() {
        // What an earlier run left was led there by the same rules.
        for row in rows()
            .into_iter()
            .filter(|row| !row.event.starts_with("PriorEvidenceFound"))
        {
            if row.to.starts_with("Deleted") && !row.from.starts_with("Deleted") {
                assert!(
                    ["Archived (sealed)", "Archived (deletion accepted)"]
                        .contains(&row.from.as_str()),
                    "{row:?}"
                );
            }
            if row.effect.contains("delete") && row.effect.contains("guards") {
                assert!(row.to == "Archived (sealed)", "{row:?}");
            }
        }
    }

    #[test]
    fn a_state_is_never_left_backwards_but_for_a_new_revision_or_access_that_returned() {
        use super::super::StateName;
        let retry = RetryPolicy {
            max_attempts: 8,
            base: Duration::ZERO,
            cap: Duration::ZERO,
        };
        let context = Context {
            action: Action::Delete,
            delete: DeletePolicy::Attempt,
            retry: &retry,
            resubmitted: false,
            attempts: 0,
            jitter: 0.0,
        };
        let order = |name: StateName| if name.is_terminal() { 4 } else { name as usize };
        for (_, state) in states() {
            for (_, event) in events() {
                let begins_again = matches!(
                    event,
                    Event::PriorEvidenceFound(_)
                        | Event::UserReturned
                        | Event::UserStayedAway
                        | Event::AccessReturned
                );
                if begins_again {
                    continue;
                }
                if let Ok(next) = transition(state.clone(), event, &context) {
                    let (from, to) = (order(state.name()), order(next.state.name()));
                    assert!(to == from || to == from + 1, "{state:?} -> {next:?}");
                }
            }
        }
    }
}
