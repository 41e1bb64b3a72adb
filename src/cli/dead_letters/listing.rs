use std::sync::Arc;

use serde_json::{Value, json};

use super::super::columns;
use super::super::compose;
use super::super::exit::{CliError, Exit};
use super::super::output::{Output, Shown, json as print_json, say, table, time};
use super::args::{names, nothing_found};
use super::filter_args::FilterArgs;
use crate::config::{BrokerSettings, CheckpointsUrl, Sources, WorkerSettings};
use crate::operations::dead_letters::{self, Listed, ShownDeadLetter};
use crate::queue::headers::{OURS, dead_letter};

/// The limits if none is given.
const LISTED: usize = 1000;
const SHOWN: usize = 20;

pub(super) async fn list(
    args: &FilterArgs,
    output: Output,
    settings: &BrokerSettings,
) -> Result<Exit, CliError> {
    let filter = args.filter().or_limit(LISTED);
    let nothing_found = nothing_found(&filter);
    let checkpoints = match &settings.base.checkpoints {
        CheckpointsUrl::Redis { .. } => compose::checkpoints(&settings.base).ok(),
        CheckpointsUrl::Embedded(_) => None,
    };
    let broker = compose::broker(&settings.queue)?;
    let listing = dead_letters::list(&*broker, checkpoints.as_deref(), filter).await?;
    let exit = if listing.dead_letters.is_empty() {
        nothing_found
    } else {
        Exit::Ok
    };
    if output == Output::Json {
        print_json(&listing)?;
        return Ok(exit);
    }

    say(table(
        columns::DEAD_LETTERS,
        listing.dead_letters.iter().map(row),
    ));
    if listing.more > 0 {
        say(format!(
            "and {} more; a higher --limit shows them",
            listing.more
        ));
    }
    Ok(exit)
}

fn row(listed: &Listed) -> [String; 10] {
    let dead_letter = &listed.dead_letter;
    let [id, user, at] = names(dead_letter);
    let step = if listed.left_over == Some(true) {
        "replayed"
    } else {
        dead_letter.step.as_str()
    };
    let state = listed
        .last_state
        .map_or_else(|| "unknown".to_owned(), |state| state.to_string());
    [
        id,
        at,
        user.clone(),
        state,
        listed.access.as_str().to_owned(),
        dead_letter.reason.to_string(),
        step.to_owned(),
        dead_letter.fingerprint.clone(),
        format!("{}, replays {}", dead_letter.attempts, dead_letter.replays),
        // The user has a column, and an ID in the error would take the width of two others.
        dead_letter.error.replace(&user, "{id}"),
    ]
}

pub(super) async fn show(
    args: &FilterArgs,
    output: Output,
    sources: &Sources,
) -> Result<Exit, CliError> {
    let settings = BrokerSettings::read(sources)?;
    let filter = args.filter().or_limit(SHOWN);
    let nothing_found = nothing_found(&filter);
    // Without the settings of CXone the dead letters are shown all the same, without a judgement.
    let services = match WorkerSettings::read_for_replay(sources) {
        Ok(settings) => {
            let services =
                compose::unproven_services(&settings.base, &settings.cxone, "dead-letters").await;
            services.ok().map(Arc::new)
        }
        Err(_incomplete) => None,
    };
    let broker = compose::broker(&settings.queue)?;
    let shown = dead_letters::show(
        &*broker,
        services.as_ref(),
        settings.base.runbook.as_ref(),
        filter,
    )
    .await?;
    let exit = if shown.is_empty() {
        nothing_found
    } else {
        Exit::Ok
    };
    match output {
        Output::Json => print_json(&json!({ "letters": shown }))?,
        Output::Table => {
            for (number, one) in shown.iter().enumerate() {
                if number > 0 {
                    say("");
                }
                say(block(one));
            }
        }
    }
    Ok(exit)
}

/// Each fact once, in one line; the body is the last one.
fn block(shown: &ShownDeadLetter) -> Shown {
    let dead_letter = &shown.whole.dead_letter;
    let [id, user, at] = names(dead_letter);
    let or_unknown = |text: &str| {
        if text.is_empty() {
            "unknown".to_owned()
        } else {
            text.to_owned()
        }
    };
    let state = shown
        .last_state
        .map_or_else(|| "unknown".to_owned(), |state| state.to_string());
    let mut lines = vec![
        row_of("dead letter", &id),
        row_of("since", &at),
        row_of("user", &user),
    ];
    if let Some(batch) = &dead_letter.batch_id {
        lines.push(row_of("batch", &batch.to_string()));
    }
    lines.extend([
        row_of("state", &state),
        row_of("access", shown.access.as_str()),
        row_of("reason", dead_letter.reason.as_str()),
        row_of("step", &or_unknown(&dead_letter.step)),
        row_of("error", &or_unknown(&dead_letter.error)),
        row_of("group", &dead_letter.fingerprint),
        row_of("attempts", &dead_letter.attempts.to_string()),
    ]);
    if dead_letter.replays > 0 {
        lines.push(row_of("replays", &replays(shown)));
    }
    lines.push(row_of("worker", &or_unknown(&dead_letter.worker)));
    lines.extend(rest(&json!(shown.whole)));
    lines.extend(judgement(shown));
    lines.extend(shown.runbook.as_ref().map(|link| row_of("runbook", link)));
    lines.into_iter().collect()
}

fn replays(shown: &ShownDeadLetter) -> String {
    let dead_letter = &shown.whole.dead_letter;
    let last = dead_letter
        .replayed_at
        .map_or_else(String::new, |at| format!(", the last {}", time(at)));
    let back = if dead_letter.came_back {
        "; the same fault came back"
    } else {
        ""
    };
    format!("{}{last}{back}", dead_letter.replays)
}

fn judgement(shown: &ShownDeadLetter) -> Vec<String> {
    let Some(assessment) = &shown.assessment else {
        let why = "not judged: the settings do not say where CXone and the stores are";
        return vec![row_of("safe", why)];
    };
    let verdict = format!("{}: {}", assessment.safety.as_str(), assessment.why);
    let mut lines = vec![row_of("safe", &verdict)];
    lines.extend(shown.next.as_ref().map(|next| row_of("next", next)));
    lines
}

fn row_of(name: &str, text: &str) -> String {
    format!("{name:<12} {text}")
}

/// What the summary does not say: headers of others, properties, and the body.
fn rest(whole: &Value) -> Vec<String> {
    let plain = |value: &Value| {
        value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned)
    };
    let mut lines = vec![row_of("routing key", &plain(&whole["routingKey"]))];
    for (part, name) in [("headers", "header"), ("properties", "property")] {
        let members = whole[part].as_object().into_iter().flatten();
        let present = members.filter(|(name, value)| !value.is_null() && !is_shown(name));
        lines.extend(
            present.map(|(member, value)| row_of(name, &format!("{member}: {}", plain(value)))),
        );
    }
    let body = if whole["body"].is_null() {
        row_of("bodyBase64", &plain(&whole["bodyBase64"]))
    } else {
        row_of("body", &plain(&whole["body"]))
    };
    lines.push(body);
    lines
}

/// Headers whose facts have a line of their own.
fn is_shown(header: &str) -> bool {
    let with_a_line = [
        dead_letter::REASON,
        dead_letter::ERROR,
        dead_letter::STATE,
        dead_letter::ATTEMPTS,
        dead_letter::AT,
        dead_letter::WORKER,
        dead_letter::CODE,
        dead_letter::STEP,
        dead_letter::REPLAYS,
        dead_letter::REPLAYED_FAULT,
        dead_letter::REPLAYED_AT,
    ];
    header.starts_with(OURS) && with_a_line.contains(&header)
}
