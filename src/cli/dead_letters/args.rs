//! The arguments of `dead-letters`, and what its commands share.

use std::time::Duration;

use jiff::Timestamp;

use crate::cli::exit::Exit;
use crate::cli::input::parse_since;
use crate::cli::output::{ActArgs, OutputArgs};
use crate::failure::Reason;
use crate::job::{BatchId, UserId};
use crate::limits::Rate;
use crate::operations::dead_letters::{DeadLetter, DeadLetterFilter, DeadLetterId};

/// Which dead letters; each given filter has to match.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct FilterArgs {
    /// Dead letter IDs
    #[arg(value_name = "DEAD_LETTER_ID")]
    ids: Vec<DeadLetterId>,
    /// Only dead letters of this user; repeatable
    #[arg(long = "user", value_name = "USER_ID")]
    users: Vec<UserId>,
    /// Only dead letters of this batch
    #[arg(long, value_name = "B")]
    batch: Option<BatchId>,
    /// Only dead letters with this reason; repeatable
    #[arg(long = "reason", value_name = "REASON", value_parser = parse_reason)]
    reasons: Vec<Reason>,
    /// Only dead letters since a time (2026-11-01T00:00:00Z), or of the last period (2h)
    #[arg(long, value_name = "WHEN", value_parser = parse_since)]
    since: Option<Timestamp>,
    /// Maximum number of dead letters, oldest first; with `groups` and `show`, in the order of the queue
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
}

#[derive(Debug, clap::Args)]
pub(super) struct ReplayArgs {
    #[command(flatten)]
    pub(super) filter: FilterArgs,
    /// Maximum rate, e.g. 5/s or 30/m
    #[arg(long, value_name = "N/s", value_parser = parse_rate)]
    pub(super) rate: Option<Duration>,
    /// Replay first 1, then 10, then the rest; stop when the same fault comes back
    #[arg(long)]
    pub(super) canary: bool,
    /// Time limit for each canary stage to pass the step that failed
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = humantime::parse_duration)]
    pub(super) canary_wait: Duration,
    /// Also replay dead letters that are not safe to replay yet
    #[arg(long)]
    pub(super) anyway: bool,
    /// Show what would be replayed, and change nothing
    #[arg(long)]
    pub(super) dry_run: bool,
    #[command(flatten)]
    pub(super) act: ActArgs,
    #[command(flatten)]
    pub(super) output: OutputArgs,
}

#[derive(Debug, clap::Args)]
pub(super) struct DiscardArgs {
    #[command(flatten)]
    pub(super) filter: FilterArgs,
    /// Discard all dead letters, if no other filter is given
    #[arg(long)]
    pub(super) all: bool,
    /// Show what would be discarded, and change nothing
    #[arg(long)]
    pub(super) dry_run: bool,
    #[command(flatten)]
    pub(super) act: ActArgs,
    #[command(flatten)]
    pub(super) output: OutputArgs,
}

impl FilterArgs {
    pub(super) fn filter(&self, default_limit: Option<usize>) -> DeadLetterFilter {
        DeadLetterFilter {
            ids: self.ids.iter().cloned().collect(),
            users: self.users.iter().copied().collect(),
            batch: self.batch.clone(),
            reasons: self.reasons.clone(),
            since: self.since,
            limit: self.limit.or(default_limit),
        }
    }
}

fn parse_reason(text: &str) -> Result<Reason, String> {
    let known = Reason::ALL
        .iter()
        .find(|reason| reason.as_str() == text)
        .copied();
    let words = || {
        Reason::ALL
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(", ")
    };
    known.ok_or_else(|| format!("one of {}", words()))
}

/// The time between two messages at a rate of `5/s`, `30/m`, or `5`, which means `5/s`.
fn parse_rate(text: &str) -> Result<Duration, &'static str> {
    const NOT_A_RATE: &str = "give a rate, e.g. 5/s or 30/m, that is not less than 1/m";

    let with_unit = format!("{text}/s");
    let text = if text.contains('/') { text } else { &with_unit };
    let interval = Rate::parse(text).map_err(|_reason| NOT_A_RATE)?.interval();
    if interval > Duration::from_mins(1) {
        return Err(NOT_A_RATE);
    }
    Ok(interval)
}

/// The exit status if nothing was found: a problem if IDs or users were named.
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
        .map_or_else(|| "unknown".to_owned(), |at| at.to_string());
    [dead_letter.id.to_string(), user, at]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_a_number_in_a_time_and_not_too_slow() {
        assert_eq!(parse_rate("5/s"), Ok(Duration::from_millis(200)));
        assert_eq!(parse_rate("2"), Ok(Duration::from_millis(500)));
        assert_eq!(parse_rate("30/m"), Ok(Duration::from_secs(2)));
        for wrong in ["0/s", "-1/s", "x", "5/h", "0.5/m", "", "NaN/s"] {
            assert!(parse_rate(wrong).is_err(), "{wrong}");
        }
    }
}
