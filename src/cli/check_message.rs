//! Says what a worker would understand of a message, for those who write publishers.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::Serialize;

use super::exit::{CliError, Exit};
use super::output::{Output, OutputArgs, Shown, json, say};
use crate::clock::Clock;
use crate::job::{Malformed, Source, Understood, understand_message};

/// More than RabbitMQ takes. A body that is far too large is not read to its end.
const MAX_READ_BYTES: u64 = 128 * 1024 * 1024;

/// Checks the body of one message: says what a worker understands, or what to change
///
/// It needs no settings and no network, and uses the parser of the worker. Only the body is checked, not headers or
/// properties.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exit status: 0 well formed; 1 malformed: a worker would make it a dead letter; 2 the file cannot be read.\n\n\
    Examples:\n  offboarder check-message body.json\n  printf '{\"userId\":\"%s\"}' \"$ID\" | offboarder check-message --output json"
)]
pub(crate) struct Args {
    /// File with the body of one message; standard input if missing or `-`
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    #[command(flatten)]
    output: OutputArgs,
}

pub(super) fn run(args: &Args) -> Result<Exit, CliError> {
    let body = read(args.file.as_deref())?;
    let now = Clock::system().now();
    let checked = understand_message(&body, now);
    let exit = if checked.is_ok() { Exit::Ok } else { Exit::Bad };

    match args.output.output {
        Output::Json => json(&Answer::of(&checked, now))?,
        Output::Table => say(shown(&Answer::of(&checked, now))),
    }
    Ok(exit)
}

fn read(file: Option<&Path>) -> Result<Vec<u8>, CliError> {
    let mut body = Vec::new();
    let mut read = |from: &mut dyn Read| from.take(MAX_READ_BYTES).read_to_end(&mut body);
    let (place, done) = match file.filter(|path| path.as_os_str() != "-") {
        None => (
            "standard input".to_owned(),
            read(&mut std::io::stdin().lock()),
        ),
        Some(path) => (
            path.display().to_string(),
            File::open(path).and_then(|mut file| read(&mut file)),
        ),
    };
    done.map_err(|error| CliError::usage(format!("cannot read {place}: {error}")))?;
    Ok(body)
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", untagged)]
enum Answer<'a> {
    WellFormed {
        well_formed: bool,
        user_id: String,
        action: &'static str,
        /// Where its work begins.
        lane: &'static str,
        batch_id: Option<String>,
        delete_after: Option<Timestamp>,
        requested_by: Option<&'a str>,
        reason: Option<&'a str>,
        requested_at: Option<Timestamp>,
        notes: Vec<String>,
    },
    Malformed {
        well_formed: bool,
        faults: &'a [String],
    },
}

impl<'a> Answer<'a> {
    fn of(checked: &'a Result<Understood, Malformed>, now: Timestamp) -> Self {
        let understood = match checked {
            Ok(understood) => understood,
            Err(Malformed { faults }) => {
                return Self::Malformed {
                    well_formed: false,
                    faults,
                };
            }
        };

        let request = &understood.request;
        Self::WellFormed {
            well_formed: true,
            user_id: understood.user_id.to_string(),
            action: request.action.as_str(),
            lane: Source::Users.lane().as_str(),
            batch_id: request.batch_id.as_ref().map(ToString::to_string),
            delete_after: request.delete_after,
            requested_by: request.requested_by.as_deref(),
            reason: request.reason.as_deref(),
            requested_at: request.requested_at,
            notes: notes(understood, now),
        }
    }
}

/// What was read although the schema does not say it, and times that are hardly meant.
fn notes(understood: &Understood, now: Timestamp) -> Vec<String> {
    let request = &understood.request;
    let is_over = request.delete_after.is_some_and(|until| until < now);
    let is_ahead = request.requested_at.is_some_and(|asked| asked > now);

    let mut notes = understood.notes.clone();
    notes.extend(is_over.then(|| "deleteAfter is over: the deletion does not wait".to_owned()));
    notes.extend(is_ahead.then(|| "requestedAt is in the future".to_owned()));
    notes
}

fn shown(answer: &Answer<'_>) -> Shown {
    match answer {
        Answer::Malformed { faults, .. } => {
            let faults = faults.iter().map(|fault| format!("  {fault}"));
            let first = "malformed: a worker would make it a dead letter".to_owned();
            std::iter::once(first).chain(faults).collect()
        }
        Answer::WellFormed {
            user_id,
            action,
            batch_id,
            delete_after,
            requested_by,
            reason,
            requested_at,
            notes,
            ..
        } => {
            let time = |time: &Option<Timestamp>| time.map(|time| time.to_string());
            let line = |name: &str, value: Option<String>| {
                format!("  {name:<12}  {}", value.as_deref().unwrap_or("-"))
            };
            let both = "access, then archive; the routing key says whether it is urgent";
            let lines = [
                "well formed".to_owned(),
                line("user", Some(user_id.clone())),
                line("action", Some((*action).to_owned())),
                line("lane", Some(both.to_owned())),
                line("batch", batch_id.clone()),
                line("delete after", time(delete_after)),
                line("requested by", requested_by.map(str::to_owned)),
                line("reason", reason.map(str::to_owned)),
                line("requested at", time(requested_at)),
            ];
            let notes = notes.iter().map(|note| format!("note: {note}"));
            lines.into_iter().chain(notes).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "3f1f0d4e-9a51-4b4b-8f6c-1f9a4f9b7c11";

    #[test]
    fn times_that_are_hardly_meant_are_noted() {
        let now = Timestamp::from_second(1000).unwrap();
        let noted = |member: &str, second: i64| {
            let at = Timestamp::from_second(second).unwrap();
            let body = format!(r#"{{"userId":"{ID}","{member}":"{at}"}}"#);
            notes(&understand_message(body.as_bytes(), now).unwrap(), now).len()
        };
        assert_eq!(
            (noted("deleteAfter", 999), noted("deleteAfter", 1001)),
            (1, 0)
        );
        assert_eq!(
            (noted("requestedAt", 999), noted("requestedAt", 1001)),
            (0, 1)
        );
    }
}
