use serde_json::json;

use super::exit::{CliError, Exit};
use super::output::{Output, OutputArgs, Shown, json as print_json, say};
use crate::operations::runbook::{explain, nearest};

/// Explains a code, a reason of a dead letter or an alert
///
/// Prints its section of the runbook, which is built in: what it means, what happens by itself, and what you do. It needs no
/// settings and no service.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  offboarder explain cxone_missing_scope
  offboarder explain retries_exhausted")]
pub(crate) struct Args {
    /// Code, reason or alert, e.g. `cxone_timeout`
    #[arg(value_name = "CODE")]
    word: String,
    #[command(flatten)]
    output: OutputArgs,
}

pub(super) fn run(args: &Args) -> Result<Exit, CliError> {
    let sections = explain(args.word.trim_matches(['[', ']', '`']));
    if sections.is_empty() {
        return Err(CliError::bad(format!(
            "the runbook has no section {}; the nearest are {}",
            Shown::from(&args.word),
            nearest(&args.word).join(", ")
        )));
    }

    if args.output.output == Output::Json {
        let sections: Vec<_> = sections
            .iter()
            .map(|section| {
                json!({
                    "word": section.word, "chapter": section.chapter, "text": section.text,
                })
            })
            .collect();
        print_json(&json!({ "sections": sections }))?;
        return Ok(Exit::Ok);
    }
    for (number, section) in sections.iter().enumerate() {
        if number > 0 {
            say("");
        }
        say(format!("{} ({})", section.word, section.chapter));
        say("");
        say(section.text.lines().collect::<Shown>());
    }
    Ok(Exit::Ok)
}
