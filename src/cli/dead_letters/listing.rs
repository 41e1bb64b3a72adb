use std::sync::Arc;

use serde_json::{Value, json};

use super::super::compose;
use super::super::exit::{CliError, Exit};
use super::super::output::{Output, Shown, json as print_json, say, say_fleet, table};
use super::args::{FilterArgs, names, nothing_found};
use crate::config::{CheckpointsUrl, Cxone, Queue, Settings};
use crate::operations::dead_letters::{self, Assessor, Listed, groups};

/// The limits if none is given.
const LISTED: usize = 1000;
const SHOWN: usize = 20;

pub(super) async fn list(
    args: &FilterArgs,
    output: Output,
    settings: &Settings<Option<Cxone>, Queue>,
) -> Result<Exit, CliError> {
    let filter = args.filter(Some(LISTED));
    let checkpoints = match &settings.checkpoints {
        CheckpointsUrl::Redis { .. } => compose::checkpoints(settings).ok(),
        CheckpointsUrl::Embedded(_) => None,
    };
    let listing = dead_letters::list(
        &*compose::broker(&settings.queue)?,
        checkpoints.as_deref(),
        &filter,
    )
    .await?;
    let exit = if listing.dead_letters.is_empty() {
        nothing_found(&filter)
    } else {
        Exit::Ok
    };
    if output == Output::Json {
        print_json(&listing)?;
        return Ok(exit);
    }
    let rows = listing.dead_letters.iter().map(
        |Listed {
             dead_letter,
             left_over,
         }| {
            let [id, user, at] = names(dead_letter);
            let step = if *left_over == Some(true) {
                "replayed"
            } else {
                dead_letter.step.as_str()
            };
            let tried = format!("{}, replays {}", dead_letter.attempts, dead_letter.replays);
            [
                id,
                at,
                user,
                dead_letter.reason.to_string(),
                step.to_owned(),
                tried,
                dead_letter.error.clone(),
            ]
        },
    );
    say(table(
        [
            "dead letter",
            "since",
            "user",
            "reason",
            "step",
            "attempts",
            "error",
        ],
        rows,
    ));
    if listing.more > 0 {
        say(format!(
            "and {} more; a higher --limit shows them",
            listing.more
        ));
    }
    Ok(exit)
}

pub(super) async fn show(
    args: &FilterArgs,
    output: Output,
    settings: &Settings<Option<Cxone>, Queue>,
) -> Result<Exit, CliError> {
    let filter = args.filter(Some(SHOWN));
    let found = dead_letters::show(&*compose::broker(&settings.queue)?, &filter).await?;
    let exit = if found.is_empty() {
        nothing_found(&filter)
    } else {
        Exit::Ok
    };
    match output {
        Output::Json => print_json(&json!({ "letters": found }))?,
        Output::Table => found
            .iter()
            .for_each(|dead_letter| say(table(["", ""], lines(&json!(dead_letter))))),
    }
    Ok(exit)
}

/// One row per member of a dead letter; the body is the last one.
fn lines(dead_letter: &Value) -> Vec<[String; 2]> {
    let plain = |value: &Value| {
        value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned)
    };
    let mut lines = Vec::new();
    for part in ["letter", "headers", "properties"] {
        let members = dead_letter[part].as_object().into_iter().flatten();
        let present = members.filter(|(_, value)| !value.is_null());
        lines.extend(present.map(|(name, value)| [format!("{part} {name}"), plain(value)]));
    }
    let body = if dead_letter["body"].is_null() {
        "bodyBase64"
    } else {
        "body"
    };
    lines.push([body.to_owned(), plain(&dead_letter[body])]);
    lines
}

pub(super) async fn show_groups(
    args: &FilterArgs,
    output: Output,
    settings: &Settings<Cxone, Queue>,
) -> Result<Exit, CliError> {
    let filter = args.filter(None);
    let assessor = Assessor::new(Arc::new(
        compose::unproven_services(settings, "dead-letters").await?,
    ));
    let groups = groups(&*compose::broker(&settings.queue)?, &filter, &assessor).await?;
    let exit = if groups.is_empty() {
        nothing_found(&filter)
    } else {
        Exit::Ok
    };
    let fleet = compose::fleet_now(settings, Some(&settings.queue)).await;
    if output == Output::Json {
        print_json(&json!({ "groups": groups, "fleet": fleet }))?;
        return Ok(exit);
    }
    say_fleet(fleet.as_ref());
    let rows = groups.into_iter().map(|group| {
        let seen = [group.first_seen, group.last_seen]
            .map(|at| at.map_or_else(String::new, |at| at.to_string()));
        let replayed = match group.replayed_before {
            0 => String::new(),
            count => format!(", {count} replayed before"),
        };
        let safe = if group.safe { "yes" } else { "not yet" };
        [
            format!("{}{replayed}", group.count).into(),
            group.reason.to_string().into(),
            [group.code.to_string(), group.step, group.fingerprint]
                .into_iter()
                .collect(),
            seen.into_iter().collect(),
            group.error.into(),
            Shown::from(format!("{safe}: {}", group.assessment.why)),
        ]
    });
    say(table(
        [
            "dead letters",
            "reason",
            "code, step, fingerprint",
            "first, last",
            "example",
            "safe to replay",
        ],
        rows,
    ));
    Ok(exit)
}
