use std::io::{IsTerminal as _, Write as _};
use std::time::Duration;

use jiff::Timestamp;

use super::unknown::unknown;
use crate::cli::exit::{CliError, Exit};
use crate::cli::output::{
    Output, OutputArgs, Shown, json as print_json, say, table, terminal_width, wide_table,
};
use crate::clock::Clock;
use crate::job::BatchId;
use crate::operations::batches::{Overview, overview};
use crate::ports::batches::Batches;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Name of the batch
    #[arg(value_name = "B")]
    batch: BatchId,
    /// Refresh every two seconds until no user is left to do
    #[arg(long)]
    watch: bool,
    #[command(flatten)]
    output: OutputArgs,
}

const PAUSE: Duration = Duration::from_secs(2);

pub(super) async fn run(
    args: &Args,
    batches: &dyn Batches,
    clock: &Clock,
) -> Result<Exit, CliError> {
    let mut drawn = 0;
    let mut before: Option<Overview> = None;
    loop {
        let found = overview(batches, &args.batch, clock.now()).await?;
        let Some(overview) = found else {
            return Err(unknown(&args.batch));
        };
        let done = !args.watch || overview.left() == 0;
        match args.output.output {
            // JSON is one document: the last one.
            Output::Json if done => print_json(&overview)?,
            Output::Table if std::io::stdout().is_terminal() => {
                drawn = redraw(text(&overview).as_str(), drawn);
            }
            // A file gets a new text only when something other than the time has changed.
            Output::Table
                if before
                    .as_ref()
                    .is_none_or(|before| differs(before, &overview)) =>
            {
                say(text(&overview));
            }
            Output::Json | Output::Table => {}
        }
        if done {
            return Ok(Exit::Ok);
        }
        before = Some(overview);
        tokio::time::sleep(PAUSE).await;
    }
}

/// Whether anything changed besides the time.
fn differs(before: &Overview, now: &Overview) -> bool {
    let still = |overview: &Overview| Overview {
        as_of: Timestamp::UNIX_EPOCH,
        finished_per_minute: None,
        time_left_seconds: None,
        ..overview.clone()
    };
    still(before) != still(now)
}

/// Overwrites the last `drawn` rows of the terminal with the text, and returns the number of rows of the text.
fn redraw(text: &str, drawn: usize) -> usize {
    let mut out = std::io::stdout().lock();
    let up = if drawn > 0 {
        format!("\x1b[{drawn}F\x1b[J")
    } else {
        String::new()
    };
    let written = writeln!(out, "{up}{text}").and_then(|()| out.flush());

    // A terminal that is closed ends the process by a signal.
    written.ok();
    let width = terminal_width().unwrap_or(usize::MAX);

    text.lines()
        .map(|line| line.chars().count().div_ceil(width).max(1))
        .sum()
}

fn text(overview: &Overview) -> Shown {
    let begun = overview
        .begun_at
        .map(|at| format!(", begun at {at:.0}"))
        .unwrap_or_default();
    let head = format!("{}  {} users{begun}", overview.batch_id, overview.users);
    let row =
        |what: &str, users, more: Shown| [what.into(), share(users, overview.users).into(), more];
    let mut rows: Vec<[Shown; 3]> = vec![
        row("finished", overview.finished, outcomes(overview).into()),
        row("dead letters", overview.dead(), reasons(overview).into()),
        row("waiting", waiting(overview), waits(overview)),
        row("in progress", overview.under_way, "".into()),
        row("not begun", overview.not_begun, "".into()),
    ];

    if overview.unreadable > 0 {
        let what = "checkpoints of a later release: upgrade this binary".into();
        rows.push(row("unreadable", overview.unreadable, what));
    }
    let states = overview.states.iter();
    let (names, counts): (Vec<&str>, Vec<String>) = states
        .map(|(state, users)| (state.as_str(), users.to_string()))
        .unzip();
    let mut lines: Vec<Shown> = vec![
        head.into(),
        "".into(),
        table(["users", "count", "details"], rows),
        "".into(),
        "last completed step".into(),
        wide_table(names, counts),
        "".into(),
    ];
    if let Some(access) = &overview.access_removed {
        let [half, most, all] = [
            access.p50_seconds,
            access.p95_seconds,
            access.longest_seconds,
        ]
        .map(span);
        lines.push(
            format!(
                "access gone  {} users, the last one at {:.0}",
                access.users, access.last_at
            )
            .into(),
        );
        lines.push(
            format!("             half within {half}, 95 % within {most}, all within {all}").into(),
        );
    }
    if let Some(rate) = overview.finished_per_minute {
        lines
            .push(format!("rate         {rate:.1} users per minute in the last 15 minutes").into());
    }
    let left = match overview.time_left_seconds {
        Some(0) => "none: all users are done".to_owned(),
        #[expect(clippy::cast_precision_loss, reason = "an estimate")]
        Some(seconds) => format!("about {}", span(seconds as f64)),
        None => "unknown: no user was finished in the last 15 minutes".to_owned(),
    };
    lines.push(format!("time left    {left}").into());

    lines.into_iter().collect()
}

fn waiting(overview: &Overview) -> u64 {
    overview.waiting.iter().map(|waiting| waiting.users).sum()
}

#[expect(clippy::cast_precision_loss, reason = "a share in percent")]
fn share(users: u64, of: u64) -> String {
    let percent = if of == 0 {
        0.0
    } else {
        users as f64 * 100.0 / of as f64
    };
    format!("{users} ({percent:.1} %)")
}

fn outcomes(overview: &Overview) -> String {
    let word = |outcome| serde_json::to_value(outcome).unwrap_or_default();
    let texts = overview
        .deletions
        .iter()
        .map(|(outcome, users)| format!("{users} {}", word(outcome).as_str().unwrap_or_default()));
    texts.collect::<Vec<_>>().join(", ")
}

fn reasons(overview: &Overview) -> String {
    let texts = overview
        .dead_letters
        .iter()
        .map(|group| format!("{} {}", group.users, group.reason));
    texts.collect::<Vec<_>>().join(", ")
}

fn waits(overview: &Overview) -> Shown {
    let texts = overview.waiting.iter().map(|waiting| {
        format!(
            "{} {}, until {:.0} at the earliest",
            waiting.users, waiting.why, waiting.first_until
        )
    });
    texts.collect()
}

/// A duration, in at most two units.
fn span(seconds: f64) -> String {
    if seconds < 10.0 {
        return format!("{seconds:.1} s");
    }
    let whole = Duration::from_secs_f64(seconds.round()).as_secs();
    let days = whole / 86_400;
    let hours = whole / 3600 % 24;
    let minutes = whole / 60 % 60;

    match (days, hours, minutes) {
        (0, 0, 0) => format!("{whole} s"),
        (0, 0, _) => format!("{minutes} min {} s", whole % 60),
        (0, _, _) => format!("{hours} h {minutes} min"),
        (_, _, _) => format!("{days} d {hours} h"),
    }
}
