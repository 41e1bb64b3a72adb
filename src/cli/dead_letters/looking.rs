use std::sync::Arc;

use serde_json::{Value, json};

use super::super::compose;
use super::super::exit::{CliError, Exit};
use super::super::output::{Output, Shown, json as print_json, say, table};
use super::{PickArgs, names, nothing_found};
use crate::config::{CheckpointsUrl, Cxone, Queue, Settings};
use crate::operations::dead_letters::{self, Judge, Listed, groups};

/// What is shown at once where no limit is given.
const LISTED: usize = 1000;
const SHOWN: usize = 20;

pub(super) async fn list(
    args: &PickArgs,
    output: Output,
    settings: &Settings<Option<Cxone>, Queue>,
) -> Result<Exit, CliError> {
    let pick = args.pick(Some(LISTED));
    let checkpoints = match &settings.checkpoints {
        CheckpointsUrl::Redis { .. } => compose::checkpoints(settings).ok(),
        CheckpointsUrl::Embedded(_) => None,
    };
    let listing = dead_letters::list(
        &*compose::broker(&settings.queue)?,
        checkpoints.as_deref(),
        &pick,
    )
    .await?;
    let exit = if listing.letters.is_empty() {
        nothing_found(&pick)
    } else {
        Exit::Ok
    };
    if output == Output::Json {
        print_json(&listing)?;
        return Ok(exit);
    }
    let rows = listing.letters.iter().map(|Listed { letter, left_over }| {
        let [id, user, at] = names(letter);
        let step = if *left_over == Some(true) {
            "replayed"
        } else {
            letter.step.as_str()
        };
        let tried = format!("{}, replays {}", letter.attempts, letter.replays);
        [
            id,
            at,
            user,
            letter.reason.to_string(),
            step.to_owned(),
            tried,
            letter.error.clone(),
        ]
    });
    say(table(
        [
            "letter", "given up", "user", "reason", "step", "attempts", "error",
        ],
        rows,
    ));
    if listing.more > 0 {
        say(format!("and {} more; --limit shows them", listing.more));
    }
    Ok(exit)
}

pub(super) async fn show(
    args: &PickArgs,
    output: Output,
    settings: &Settings<Option<Cxone>, Queue>,
) -> Result<Exit, CliError> {
    let pick = args.pick(Some(SHOWN));
    let letters = dead_letters::show(&*compose::broker(&settings.queue)?, &pick).await?;
    let exit = if letters.is_empty() {
        nothing_found(&pick)
    } else {
        Exit::Ok
    };
    match output {
        Output::Json => print_json(&json!({ "letters": letters }))?,
        Output::Table => letters
            .iter()
            .for_each(|letter| say(table(["", ""], lines(&json!(letter))))),
    }
    Ok(exit)
}

/// What there is to tell of a letter, a line each; the body last.
fn lines(letter: &Value) -> Vec<[String; 2]> {
    let plain = |value: &Value| {
        value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned)
    };
    let mut lines = Vec::new();
    for part in ["letter", "headers", "properties"] {
        let members = letter[part].as_object().into_iter().flatten();
        let told = members.filter(|(_, value)| !value.is_null());
        lines.extend(told.map(|(name, value)| [format!("{part} {name}"), plain(value)]));
    }
    let body = if letter["body"].is_null() {
        "bodyBase64"
    } else {
        "body"
    };
    lines.push([body.to_owned(), plain(&letter[body])]);
    lines
}

pub(super) async fn show_groups(
    args: &PickArgs,
    output: Output,
    settings: &Settings<Cxone, Queue>,
) -> Result<Exit, CliError> {
    let pick = args.pick(None);
    let judge = Judge::new(Arc::new(
        compose::unproven_services(settings, "dead-letters").await?,
    ));
    let groups = groups(&*compose::broker(&settings.queue)?, &pick, &judge).await?;
    let exit = if groups.is_empty() {
        nothing_found(&pick)
    } else {
        Exit::Ok
    };
    if output == Output::Json {
        print_json(&json!({ "groups": groups }))?;
        return Ok(exit);
    }
    let rows = groups.into_iter().map(|group| {
        let seen = [group.first_seen, group.last_seen]
            .map(|at| at.map_or_else(String::new, |at| at.to_string()));
        let replayed = match group.replayed_before {
            0 => String::new(),
            count => format!(", {count} replayed before"),
        };
        let safe = if group.safe { "yes" } else { "not yet" };
        [
            format!("{}{replayed}", group.letters).into(),
            group.reason.to_string().into(),
            [group.code.to_string(), group.step, group.fingerprint]
                .into_iter()
                .collect(),
            seen.into_iter().collect(),
            group.error.into(),
            Shown::from(format!("{safe}: {}", group.judgement.why)),
        ]
    });
    say(table(
        [
            "letters",
            "reason",
            "code, step, fingerprint",
            "first, last",
            "such as",
            "safe to replay",
        ],
        rows,
    ));
    Ok(exit)
}
