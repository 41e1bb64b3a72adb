use std::sync::Arc;

use jiff::Timestamp;
use serde_json::json;

use super::super::compose;
use super::super::exit::{CliError, Exit};
use super::super::output::{Output, Shown, json as print_json, say, say_fleet, time};
use super::args::nothing_found;
use super::filter_args::FilterArgs;
use crate::config::WorkerSettings;
use crate::operations::dead_letters::{Group, LastReplay, groups};

pub(super) async fn show_groups(
    args: &FilterArgs,
    output: Output,
    settings: &WorkerSettings,
) -> Result<Exit, CliError> {
    let filter = args.filter();
    let nothing_found = nothing_found(&filter);
    let services = Arc::new(
        compose::unproven_services(&settings.base, &settings.cxone, "dead-letters").await?,
    );
    let broker = compose::broker(&settings.queue)?;
    let groups = groups(&*broker, &services, filter).await?;
    let exit = if groups.is_empty() {
        nothing_found
    } else {
        Exit::Ok
    };
    let fleet = compose::fleet_now(&settings.base, Some(&settings.queue)).await;
    if output == Output::Json {
        print_json(&json!({ "groups": groups, "fleet": fleet }))?;
        return Ok(exit);
    }
    say_fleet(fleet.as_ref());

    if groups.is_empty() {
        say("no dead letter matches");
    }
    for (number, group) in groups.iter().enumerate() {
        if number > 0 {
            say("");
        }
        say(block(group));
    }
    Ok(exit)
}

/// One line for each fact, so that no ID is broken on a narrow terminal.
fn block(group: &Group) -> Shown {
    let step = if group.step.is_empty() {
        String::new()
    } else {
        format!(", step {}", group.step)
    };
    let mut lines = vec![
        format!(
            "{}  {} dead letters, {}{step}",
            group.fingerprint, group.count, group.reason
        ),
        row("state", &group.handling.line()),
    ];
    if let Some(note) = &group.handling.note {
        lines.push(row("note", note));
    }
    lines.extend([
        row("example", &group.error),
        row("seen", &seen(group)),
        row("access", &group.access.line()),
    ]);
    if let Some(last) = &group.last_replay {
        lines.push(row("replayed", &replayed(last)));
    } else if group.replayed_before > 0 {
        let count = group.replayed_before;
        lines.push(row("replayed", &format!("{count} of them before")));
    }
    lines.push(row("safe", &group.verdict()));
    if group.is_open() {
        lines.push(row("next", &group.next));
    }
    lines.into_iter().collect()
}

fn row(name: &str, text: &str) -> String {
    format!("  {name:<9} {text}")
}

fn seen(group: &Group) -> String {
    let shown = |at: Option<Timestamp>| at.map_or_else(|| "unknown".to_owned(), time);
    if group.first_seen == group.last_seen {
        return shown(group.first_seen);
    }
    format!(
        "first {}, last {}",
        shown(group.first_seen),
        shown(group.last_seen)
    )
}

fn replayed(last: &LastReplay) -> String {
    let counts = [
        ("got past the step", last.got_past),
        ("came back", last.came_back),
        ("wait or have another fault", last.otherwise),
        ("not known yet", last.open),
    ];
    let counts: Vec<String> = counts
        .into_iter()
        .filter(|(_, count)| *count > 0)
        .map(|(what, count)| format!("{count} {what}"))
        .collect();
    format!(
        "{}, {}; of the first {}: {}",
        last.replayed,
        time(last.at),
        last.followed,
        counts.join(", ")
    )
}
