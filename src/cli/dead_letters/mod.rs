mod discard;
mod looking;
mod replay;

use std::time::Duration;

use jiff::Timestamp;

use super::exit::{CliError, Exit};
use super::input::parse_since;
use super::output::{ActArgs, OutputArgs};
use crate::config::{Settings, Sources};
use crate::failure::Reason;
use crate::job::{BatchId, UserId};
use crate::limits::Rate;
use crate::operations::dead_letters::{Letter, LetterId, Pick};

/// Dead letters: looks at them, replays them, discards them
///
/// Looking takes no letter off the queue. A replay works on the letters that stood there when it began, and
/// resumes each user at the last completed step. Killed at any point and given again, it goes on.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  offboarder dead-letters groups
  offboarder dead-letters list --reason retries_exhausted --since 2h
  offboarder dead-letters replay --reason retries_exhausted --canary --why 'CXone is back'
  offboarder dead-letters discard --user 3f1f0d4e-9a51-4b4b-8f6c-1f9a4f9b7c11 --why 'left the tenant'")]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Shows letters, the oldest first
    #[command(
        alias = "ls",
        after_help = "Example:\n  offboarder dead-letters list --batch 2026-11"
    )]
    List {
        #[command(flatten)]
        pick: PickArgs,
        #[command(flatten)]
        output: OutputArgs,
    },
    /// Counts letters by fault, and says whether a replay is safe now
    #[command(after_help = "Example:\n  offboarder dead-letters groups --output json")]
    Groups {
        #[command(flatten)]
        pick: PickArgs,
        #[command(flatten)]
        output: OutputArgs,
    },
    /// Shows all of a letter: headers, properties, body
    #[command(after_help = "Example:\n  offboarder dead-letters show LETTER_ID")]
    Show {
        #[command(flatten)]
        pick: PickArgs,
        #[command(flatten)]
        output: OutputArgs,
    },
    /// Puts letters back to work, with fresh attempts
    #[command(
        after_help = "Example:\n  offboarder dead-letters replay --canary --rate 5/s --why 'mended'"
    )]
    Replay(ReplayArgs),
    /// Takes letters off for good, each after a copy is in the archive store
    #[command(
        after_help = "Example:\n  offboarder dead-letters discard LETTER_ID --why 'a test of HR'"
    )]
    Discard(DiscardArgs),
}

/// Which letters are meant; all that is said has to hold.
#[derive(Debug, Clone, clap::Args)]
struct PickArgs {
    /// Letter IDs
    #[arg(value_name = "LETTER_ID")]
    ids: Vec<LetterId>,
    /// Those of this user; may be given again
    #[arg(long = "user", value_name = "USER_ID")]
    users: Vec<UserId>,
    /// Those of this batch
    #[arg(long, value_name = "B")]
    batch: Option<BatchId>,
    /// Those given up for this reason; may be given again
    #[arg(long = "reason", value_name = "REASON", value_parser = parse_reason)]
    reasons: Vec<Reason>,
    /// Those given up since: a time, or how long ago, such as 2h
    #[arg(long, value_name = "WHEN", value_parser = parse_since)]
    since: Option<Timestamp>,
    /// So many of them, the oldest
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
}

#[derive(Debug, clap::Args)]
struct ReplayArgs {
    #[command(flatten)]
    pick: PickArgs,
    /// At most so many in a time, such as 5/s or 30/m
    #[arg(long, value_name = "N/s", value_parser = parse_rate)]
    rate: Option<Duration>,
    /// First 1, then 10, then the rest; stops when the same fault comes back
    #[arg(long)]
    canary: bool,
    /// How long a canary may take to get past the step that failed
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = humantime::parse_duration)]
    canary_wait: Duration,
    /// Also those that are not safe to replay yet
    #[arg(long)]
    anyway: bool,
    /// Say what would be replayed, and change nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    act: ActArgs,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Debug, clap::Args)]
struct DiscardArgs {
    #[command(flatten)]
    pick: PickArgs,
    /// All letters, where nothing else is said of which
    #[arg(long)]
    all: bool,
    /// Say what would be discarded, and change nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    act: ActArgs,
    #[command(flatten)]
    output: OutputArgs,
}

impl PickArgs {
    fn pick(&self, default_limit: Option<usize>) -> Pick {
        Pick {
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

pub(super) async fn run(args: &Args, sources: &Sources) -> Result<Exit, CliError> {
    match &args.verb {
        Verb::List { pick, output } => {
            looking::list(pick, output.output, &Settings::for_broker(sources)?).await
        }
        Verb::Show { pick, output } => {
            looking::show(pick, output.output, &Settings::for_broker(sources)?).await
        }
        Verb::Groups { pick, output } => {
            Box::pin(looking::show_groups(
                pick,
                output.output,
                &Settings::for_replay(sources)?,
            ))
            .await
        }
        Verb::Replay(args) => Box::pin(replay::replay(args, &Settings::for_replay(sources)?)).await,
        Verb::Discard(args) => discard::discard(args, &Settings::for_broker(sources)?).await,
    }
}

/// Nothing was found: bad where something was named.
fn nothing_found(pick: &Pick) -> Exit {
    if pick.names_any() {
        Exit::Bad
    } else {
        Exit::Ok
    }
}

fn names(letter: &Letter) -> [String; 3] {
    let user = letter
        .user_id
        .map_or_else(|| "none".to_owned(), |user| user.to_string());
    let at = letter
        .dead_lettered_at
        .map_or_else(|| "unknown".to_owned(), |at| at.to_string());
    [letter.id.to_string(), user, at]
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
