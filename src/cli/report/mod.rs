//! The population for auditors, from the archive store and nothing else.

mod csv;
mod html;
mod json;
mod page;
#[cfg(test)]
mod tests;

use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::time::Duration;

use clap::ValueEnum;
use jiff::{SignedDuration, Timestamp};

use super::bar::bar;
use super::compose;
use super::exit::{CliError, Exit};
use super::folder;
use super::output::{Shown, unless_closed};
use crate::clock::Clock;
use crate::config::{Settings, Sources};
use crate::job::BatchId;
use crate::operations::report::{
    PARTS, Reporter, Stopped, Strangers, Totals, Wanted, parse_from, parse_to,
};
use crate::operations::target::ACCESS_TARGET_TEXT;
use crate::operations::verify::{Schema, Verifier};
use page::{End, Head, Page};

/// Lists the leavers of a period for auditors, from the archive store and nothing else
///
/// One row for each leaver: asked for when, by whom and why; access gone when, after how long, and within the target or not; the
/// archive with its SHA-256; the deletion, or why there was none; a hold; the manifest; and what the checks found. It reads no
/// archive: `verify` does. It ends with 1 if a check found something, or nobody was asked for.
#[derive(Debug, ::clap::Args)]
#[command(after_help = "Examples:
  offboarder report --since 2026-10-01 --until 2026-12-31 --output html > q4.html
  offboarder report --since 2026-11-01 --batch 2026-11 > 2026-11.csv
  offboarder report --since 2026-10-01 --folder ./download      (needs no network and no settings)")]
pub(crate) struct Args {
    /// Users who were asked for at this time or later: a date (UTC) or a time, e.g. 2026-10-01T00:00:00Z
    #[arg(long, value_name = "D", value_parser = parse_from)]
    since: Timestamp,
    /// Users who were asked for before this time, or until the end of this date (UTC) [default: now]
    #[arg(long, value_name = "D", value_parser = parse_to)]
    until: Option<Timestamp>,
    /// Only users of this batch
    #[arg(long, value_name = "B")]
    batch: Option<BatchId>,
    /// Read a directory of downloaded objects instead of the store
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,
    /// Target: the longest time from the request until access is gone
    #[arg(long, value_name = "TIME", default_value = ACCESS_TARGET_TEXT, value_parser = humantime::parse_duration)]
    sla: Duration,
    /// Form of the report
    #[arg(short, long, value_enum, default_value_t, value_name = "FORM")]
    output: Form,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
enum Form {
    /// CSV with a header
    #[default]
    Csv,
    /// One JSON document
    Json,
    /// One page without scripts, to read and to print
    Html,
}

pub(super) async fn run(args: &Args, sources: &Sources) -> Result<Exit, CliError> {
    let now = Clock::system().now();
    let wanted = wanted(args, now)?;
    let (verifier, strangers) = open(args, sources).await?;
    let head = Head {
        location: verifier.store.location(),
        made_at: now,
        wanted: wanted.clone(),
    };
    let downloaded = verifier.downloaded;
    let mut reporter = Reporter::open(verifier, wanted, strangers, now).await?;

    let mut page = page(args.output)?;
    let mut totals = Totals::default();
    let stopped = match page.begin(&head) {
        Ok(()) => all_parts(&mut reporter, page.as_mut(), &mut totals).await,
        Err(error) => Err(Stopped::Output(error)),
    };
    let stopped = match stopped {
        Err(Stopped::Output(error)) => return unless_closed(Err(error)).map(|()| Exit::Ok),
        Err(Stopped::Store(failure)) => Some(failure),
        Ok(()) => None,
    };

    let end = End {
        totals: &totals,
        checked: checked(downloaded, &reporter),
        not_checked: not_checked(downloaded, &reporter),
        stopped_by: stopped.as_ref().map(ToString::to_string),
    };
    unless_closed(page.end(&head, &end))?;
    if args.output == Form::Csv {
        say_aside(&aside(&end));
    }
    match stopped {
        Some(failure) => Err(failure.into()),
        None if totals.asked == 0 || totals.checks.not_ok > 0 => Ok(Exit::Bad),
        None => Ok(Exit::Ok),
    }
}

fn wanted(args: &Args, now: Timestamp) -> Result<Wanted, CliError> {
    let until = args.until.unwrap_or(now);
    if until <= args.since {
        let text = format!("--until is not after --since: {until} and {}", args.since);
        return Err(CliError::usage(text));
    }
    let target = SignedDuration::try_from(args.sla);
    Ok(Wanted {
        since: args.since,
        until,
        batch: args.batch.clone(),
        target: target.map_err(|error| CliError::usage(format!("--sla: {error}")))?,
    })
}

async fn open(args: &Args, sources: &Sources) -> Result<(Verifier, Strangers), CliError> {
    let opened = if let Some(folder) = &args.folder {
        folder::open(folder)?
    } else {
        let store = compose::archive_store(&Settings::read(sources)?).await?;
        (store, Strangers::new())
    };
    let verifier = Verifier {
        store: opened.0,
        schema: Schema::new(),
        downloaded: args.folder.is_some(),
    };
    Ok((verifier, opened.1))
}

fn page(form: Form) -> Result<Box<dyn Page>, CliError> {
    let out = std::io::stdout();
    Ok(match form {
        Form::Csv => Box::new(csv::Csv::new(out)),
        Form::Json => Box::new(json::Json::new(out)),
        Form::Html => Box::new(html::Html::new(out).map_err(CliError::bad)?),
    })
}

async fn all_parts(
    reporter: &mut Reporter,
    page: &mut dyn Page,
    totals: &mut Totals,
) -> Result<(), Stopped> {
    let bar = bar(PARTS.len() as u64, "parts of the store");
    for digit in PARTS.chars() {
        let read = reporter.part(digit, |row| {
            totals.add(row);
            bar.set_message(format!(", {} users", totals.asked));
            page.row(row)
        });
        read.await?;
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(())
}

fn checked(downloaded: bool, reporter: &Reporter) -> Vec<&'static str> {
    let mut texts = vec![
        "each manifest against its schema, itself, and the manifest before it",
        "that the store lists the archive and the seal that a manifest names",
    ];
    if !downloaded && reporter.markers.is_none() {
        texts.push("that no delete marker hides an object of a user");
    }
    texts
}

/// The sums, and before them that they are not those of all rows.
fn aside(end: &End<'_>) -> String {
    let stopped = end.stopped_by.as_ref();
    let missing = stopped.map(|why| format!("rows are missing: {why}"));
    let lines = missing.into_iter().chain(end.totals.lines());
    lines.collect::<Vec<_>>().join("\n")
}

/// What this report cannot show.
fn not_checked(downloaded: bool, reporter: &Reporter) -> Vec<String> {
    let mut texts = vec![
        "the bytes of archives, seals, versions and locks: `offboarder verify` checks them".to_owned(),
        "users of bare messages, whom no order of `submit` names, and of whom the store has no object: those who are still in progress, \
         dead letters that were not discarded, members of a cancelled batch, and users whose objects were all removed"
            .to_owned(),
    ];
    let odd = reporter.odd_orders.iter();
    texts.extend(odd.map(|order| format!("users of an order that does not count: {order}")));
    if let Some(doubt) = &reporter.orders_in_doubt {
        texts.push(format!("who was cancelled, or not all of them: {doubt}"));
    }
    match reporter.nameless_copies() {
        0 => {}
        copies => texts.push(format!(
            "discarded dead letters whose copies name no user or cannot be read: {copies} (`_dead_letter_` in the store)"
        )),
    }
    if downloaded {
        texts.push(
            "objects that were removed or hidden: a download has no delete markers".to_owned(),
        );
    } else if let Some(failure) = &reporter.markers {
        texts.push(format!("objects that delete markers hide: {failure}"));
    }
    texts
}

/// Says something beside the answer: plain text on a terminal, else a line of the log.
fn say_aside(text: &str) {
    use std::io::Write as _;

    if std::io::stderr().is_terminal() {
        writeln!(std::io::stderr().lock(), "{}", Shown::paragraph(text)).ok();
    } else {
        tracing::info!("{text}");
    }
}
