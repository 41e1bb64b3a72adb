use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};

use super::super::columns;
use super::unknown::unknown;
use crate::cli::exit::{CliError, Exit};
use crate::cli::output::{
    Output, OutputArgs, Shown, json as print_json, redraw, say, table, time, wide_table,
};
use crate::clock::Clock;
use crate::job::BatchId;
use crate::limits::parse::positive_duration;
use crate::operations::batches::{self, BatchProgress, Overview};
use crate::operations::fleet::{FleetSources, fleet};
use crate::operations::stops::stops;
use crate::operations::times;
use crate::ports::batches::Batches;
use crate::registers::BatchPause;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Name of the batch
    #[arg(value_name = "B")]
    batch: BatchId,
    /// Refresh every two seconds until no user is left to do
    #[arg(short, long)]
    watch: bool,
    /// With --watch: end after this time, with exit status 1 if a user is left to do
    #[arg(long, value_name = "TIME", requires = "watch", value_parser = positive_duration)]
    timeout: Option<Duration>,
    #[command(flatten)]
    output: OutputArgs,
}

const PAUSE: Duration = Duration::from_secs(2);

pub(super) async fn run(
    args: &Args,
    batches: &dyn Batches,
    sources: &FleetSources,
    clock: &Clock,
) -> Result<Exit, CliError> {
    let mut drawn = 0;
    let mut before: Option<BatchProgress> = None;
    let begun = Instant::now();
    loop {
        let now = clock.now();
        let reading = batches::read(batches, &args.batch, now);
        let read = tokio::join!(reading, fleet(sources, now), stops(sources, now));
        let Some(reading) = read.0? else {
            return Err(unknown(&args.batch));
        };
        let overview = reading.overview;
        let pause = read.2.paused(&args.batch, now).cloned();
        let shown = BatchProgress::new(overview, pause, read.1);
        let left = shown.overview.left();
        let is_late = args
            .timeout
            .is_some_and(|timeout| begun.elapsed() >= timeout);
        let done = !args.watch || left == 0 || is_late;
        match args.output.output {
            // JSON is one document: the last one.
            Output::Json if done => print_json(&shown)?,
            Output::Table if std::io::stdout().is_terminal() => {
                drawn = redraw(&text(&shown), drawn);
            }
            // A file gets a new text only when something other than the time has changed.
            Output::Table if before.as_ref().is_none_or(|before| differs(before, &shown)) => {
                say(text(&shown));
            }
            Output::Json | Output::Table => {}
        }
        if done && is_late && left > 0 {
            return Err(CliError::bad(format!(
                "--timeout is over, and {left} users are left to do; workers continue"
            )));
        }
        if done {
            return Ok(if shown.overview.dead() > 0 {
                Exit::Bad
            } else {
                Exit::Ok
            });
        }
        before = Some(shown);
        tokio::time::sleep(PAUSE).await;
    }
}

/// Whether anything changed besides the time.
fn differs(before: &BatchProgress, now: &BatchProgress) -> bool {
    let still = |shown: &BatchProgress| {
        let mut overview = shown.overview.clone();
        overview.as_of = Timestamp::UNIX_EPOCH;
        overview.finished_per_minute = None;
        overview.time_left_seconds = None;
        if let Some(access) = &mut overview.still_have_access {
            access.longest_seconds = 0.0;
        }
        let notices = shown.fleet.notices.iter();
        let notices: Vec<_> = notices
            .map(|notice| (notice.kind, notice.since, notice.count))
            .collect();
        (overview, shown.pause.clone(), notices)
    };
    still(before) != still(now)
}

fn text(shown: &BatchProgress) -> Shown {
    let BatchProgress {
        overview,
        pause,
        fleet,
    } = shown;
    let begun = overview
        .begun_at
        .map(|at| format!(", begun {}", time(at)))
        .unwrap_or_default();
    let head = format!("{}  {} users{begun}", overview.batch_id, overview.users);
    let row =
        |what: &str, users, more: Shown| [what.into(), share(users, overview.users).into(), more];
    let mut rows: Vec<[Shown; 3]> = vec![
        row("finished", overview.finished, outcomes(overview).into()),
        row("cancelled", overview.cancelled, "".into()),
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
    let mut lines: Vec<Shown> = fleet.to_string().lines().map(Shown::from).collect();
    lines.extend(pause.as_ref().map(|pause| paused(pause, overview).into()));
    if !lines.is_empty() {
        lines.push("".into());
    }
    lines.extend([
        head.into(),
        "".into(),
        table(columns::BATCH, rows),
        "".into(),
        "last completed step".into(),
        wide_table(names, counts),
        "".into(),
    ]);
    lines.extend(durations(shown).into_iter().map(Shown::from));
    lines.into_iter().collect()
}

/// Who still has access, how long it took to remove it, and how long the rest will take.
fn durations(shown: &BatchProgress) -> Vec<String> {
    let BatchProgress {
        overview,
        pause,
        fleet,
    } = shown;
    let mut lines = Vec::new();
    if let Some(access) = &overview.still_have_access {
        lines.push(format!(
            "still have access  {}, the longest for {}",
            access.users,
            span(access.longest_seconds)
        ));
    }
    if let Some(access) = &overview.access_removed {
        let [half, most, all] = [
            access.p50_seconds,
            access.p95_seconds,
            access.longest_seconds,
        ]
        .map(span);
        lines.push(format!(
            "access gone        {} users, the last one {}",
            access.users,
            time(access.last_at)
        ));
        lines.push(format!(
            "                   of those {}: half within {half}, 95 % within {most}, all within {all}",
            access.users
        ));
    }
    if let Some(rate) = overview.finished_per_minute {
        lines.push(format!(
            "rate               {rate:.1} users per minute in the last 15 minutes"
        ));
    }
    let left = match overview.time_left_seconds {
        Some(0) => "none: all users are done".to_owned(),
        _ if fleet.stopped => "stopped: see above".to_owned(),
        _ if pause.is_some() => "paused: see above".to_owned(),
        #[expect(clippy::cast_precision_loss, reason = "an estimate")]
        Some(seconds) => format!("about {}", span(seconds as f64)),
        None => "unknown: no user was finished in the last 15 minutes".to_owned(),
    };
    lines.push(format!("time left          {left}"));
    lines
}

/// Who paused the batch, and how to continue.
fn paused(pause: &BatchPause, overview: &Overview) -> String {
    let batch = &overview.batch_id;
    let ends = pause.until.map_or_else(String::new, |until| {
        format!(", ends {}", times::due(until, overview.as_of))
    });
    let why = pause
        .why
        .as_ref()
        .map_or_else(String::new, |why| format!(": {why}"));
    format!(
        "! batch {batch} is paused by {} {}{ends}{why}; `offboarder batch resume {batch}` lifts it",
        pause.who,
        times::ago(pause.at, overview.as_of)
    )
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

fn span(seconds: f64) -> String {
    times::span(SignedDuration::try_from_secs_f64(seconds).unwrap_or(SignedDuration::MAX))
}
