//! The arguments of `dead-letters`, and what its commands share.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use super::filter_args::FilterArgs;
use crate::cli::exit::{CliError, Exit};
use crate::cli::output::{ActArgs, OutputArgs, plain_line, time};
use crate::operations::dead_letters::{DeadLetter, DeadLetterFilter, GroupName, parse_pace};
use crate::operations::when::parse_until;

#[derive(Debug, clap::Args)]
pub(super) struct ReplayArgs {
    #[command(flatten)]
    pub(super) filter: FilterArgs,
    /// Maximum rate, e.g. 5/s or 30/m
    #[arg(long, value_name = "N/s", value_parser = parse_pace)]
    pub(super) rate: Option<Duration>,
    /// Replay first 1 of each group, then 10, then the rest; stop a group when its fault comes back
    #[arg(long)]
    pub(super) canary: bool,
    /// Time limit for each canary stage to pass the step that failed
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = humantime::parse_duration)]
    pub(super) canary_wait: Duration,
    /// Also replay dead letters that are not safe to replay yet
    #[arg(long)]
    pub(super) anyway: bool,
    #[command(flatten)]
    pub(super) act: ActArgs,
    #[command(flatten)]
    pub(super) detach: DetachArgs,
    #[command(flatten)]
    pub(super) report: ReportArgs,
}

/// Whether the command follows the operation.
#[derive(Debug, clap::Args)]
pub(super) struct DetachArgs {
    /// Begin the operation, print its ID, and do not wait for it
    #[arg(long, conflicts_with = "dry_run")]
    pub(super) detach: bool,
}

/// Whether anything is changed, and what is printed.
#[derive(Debug, clap::Args)]
pub(super) struct ReportArgs {
    /// Show what would be done, and change nothing
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Also show each dead letter
    #[arg(long, short)]
    pub(super) verbose: bool,
    #[command(flatten)]
    pub(super) output: OutputArgs,
}

#[derive(Debug, clap::Args)]
pub(super) struct DiscardArgs {
    #[command(flatten)]
    pub(super) filter: FilterArgs,
    #[command(flatten)]
    pub(super) act: ActArgs,
    #[command(flatten)]
    pub(super) detach: DetachArgs,
    #[command(flatten)]
    pub(super) report: ReportArgs,
}

#[derive(Debug, clap::Args)]
pub(super) struct GroupArgs {
    /// Fingerprint of the group, or its first digits, as `dead-letters groups` shows it
    #[arg(value_name = "GROUP")]
    pub(super) group: GroupName,
    #[command(flatten)]
    pub(super) act: ActArgs,
    #[command(flatten)]
    pub(super) output: OutputArgs,
}

#[derive(Debug, clap::Args)]
pub(super) struct NoteArgs {
    #[command(flatten)]
    pub(super) group: GroupArgs,
    /// Note for the next operator; an empty one removes the note
    #[arg(value_name = "NOTE", value_parser = note)]
    pub(super) note: String,
}

#[derive(Debug, clap::Args)]
pub(super) struct IgnoreArgs {
    #[command(flatten)]
    pub(super) group: GroupArgs,
    /// Time (2026-12-01T00:00:00Z), or period from now (7d)
    #[arg(long, value_name = "WHEN", value_parser = parse_until)]
    pub(super) until: Timestamp,
}

#[derive(Debug, clap::Args)]
pub(super) struct ResolveArgs {
    #[command(flatten)]
    pub(super) group: GroupArgs,
    /// Release that has the fix
    #[arg(long, value_name = "RELEASE", value_parser = plain_line)]
    pub(super) release: Option<String>,
}

fn note(text: &str) -> Result<String, &'static str> {
    if text.is_empty() {
        return Ok(String::new());
    }
    plain_line(text)
}

/// Refuses to change all dead letters by accident.
pub(super) fn demand_a_filter(filter: &DeadLetterFilter) -> Result<(), CliError> {
    if filter.is_empty() && !filter.all {
        return Err(CliError::usage(
            "say which dead letters: by their IDs, --group, --user, --batch, --reason, --code, --step, --state, \
             --since or --limit; --all means all of them",
        ));
    }
    Ok(())
}

/// The groups of a question, e.g. `2d1f5436374b: 10, 0badcafe0001: 2`.
pub(super) fn by_group(counts: &BTreeMap<String, usize>) -> String {
    const SHOWN: usize = 10;

    let groups: Vec<String> = counts
        .iter()
        .take(SHOWN)
        .map(|(group, count)| format!("{group}: {count}"))
        .collect();
    let more = counts.len().saturating_sub(SHOWN);
    let more = if more == 0 {
        String::new()
    } else {
        format!(", and {more} more groups")
    };
    format!("{}{more}", groups.join(", "))
}

/// The exit status if nothing was found: a problem if IDs, users or groups were named.
pub(super) fn nothing_found(filter: &DeadLetterFilter) -> Exit {
    if filter.names_any() {
        Exit::Bad
    } else {
        Exit::Ok
    }
}

pub(super) fn names(dead_letter: &DeadLetter) -> [String; 3] {
    let user = dead_letter
        .user_id
        .map_or_else(|| "none".to_owned(), |user| user.to_string());
    let at = dead_letter
        .dead_lettered_at
        .map_or_else(|| "unknown".to_owned(), time);
    [dead_letter.id.to_string(), user, at]
}
