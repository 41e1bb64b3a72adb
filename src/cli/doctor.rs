use std::sync::Arc;

use serde::Serialize;

use super::compose;
use super::exit::{CliError, Exit};
use super::output::{Output, OutputArgs, json, say, table};
use crate::adapters::cxone::Alone;
use crate::config::{Settings, Sources, show};
use crate::failure::Failure;

/// Checks settings, reachability and credentials; each finding says how to mend it
///
/// Changes nothing but one small object in the archive store, `_offboarder_probe`, by which it finds
/// out whether the store overwrites.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  offboarder doctor\n  offboarder doctor --show-settings")]
pub(crate) struct Args {
    /// Show what is in force and where it came from, secrets masked
    #[arg(long)]
    show_settings: bool,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Debug, Serialize)]
struct Finding {
    check: &'static str,
    ok: bool,
    detail: String,
}

impl Finding {
    fn of(check: &'static str, result: Result<String, String>) -> Self {
        match result {
            Ok(detail) => Self { check, ok: true, detail },
            Err(detail) => Self { check, ok: false, detail },
        }
    }
}

pub(super) async fn run(args: &Args, sources: &Sources) -> Result<Exit, CliError> {
    if args.show_settings {
        return show_settings(args.output.output, sources);
    }
    let findings = findings(sources).await?;
    match args.output.output {
        Output::Json => json(&serde_json::json!({ "findings": findings }))?,
        Output::Table => {
            let mark = |ok: bool| if ok { "ok" } else { "NOT OK" }.to_owned();
            let rows = findings
                .iter()
                .map(|finding| [finding.check.to_owned(), mark(finding.ok), finding.detail.clone()]);
            say(table(["check", "", "finding"], rows));
        }
    }
    Ok(if findings.iter().all(|finding| finding.ok) { Exit::Ok } else { Exit::Bad })
}

fn show_settings(output: Output, sources: &Sources) -> Result<Exit, CliError> {
    let rows = show(sources);
    match output {
        Output::Json => json(&serde_json::json!({ "settings": rows }))?,
        Output::Table => say(table(
            ["variable", "value", "from"],
            rows.into_iter().map(|row| [row.variable, row.value, row.source]),
        )),
    }
    Ok(Exit::Ok)
}

/// Each service on its own, so that one that is down does not hide the next.
async fn findings(sources: &Sources) -> Result<Vec<Finding>, CliError> {
    let settings = Settings::for_run(sources)?;
    let said = |result: Result<String, Failure>| result.map_err(|failure| failure.text);
    let mut findings = vec![Finding::of("settings", Ok("understood".to_owned()))];

    let credentials = match compose::client(&settings.cxone, Arc::new(Alone::default())) {
        Ok(client) => client.check_credentials().await.map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    };
    let issued = format!("a token was issued for {}", settings.cxone.base_uri);
    findings.push(Finding::of("CXone credentials", credentials.map(|()| issued)));

    let checkpoints = match compose::checkpoints(&settings.checkpoints, settings.worker.lease) {
        Ok(checkpoints) => said(checkpoints.probe().await.map(|()| "takes writes".to_owned())),
        Err(error) => Err(error.to_string()),
    };
    findings.push(Finding::of("checkpoints", checkpoints));

    let archive = match compose::archive_store(&settings.archive).await {
        Ok(store) => {
            let result = store.probe().await;
            said(result.map(|()| format!("{} takes writes, and does not overwrite", store.location())))
        }
        Err(error) => Err(error.to_string()),
    };
    findings.push(Finding::of("archive store", archive));

    let queue = match settings.queue.as_ref().map(compose::broker) {
        None => Ok("OFFBOARDER_QUEUE_URL is not set; `run` works without".to_owned()),
        Some(Err(error)) => Err(error.to_string()),
        Some(Ok(broker)) => match broker.connect("doctor").await {
            Ok(connection) => {
                // Whether it closes in order says nothing of whether it opened.
                connection.close(200, "done".into()).await.ok();
                Ok(format!("let us in at {}", broker.at()))
            }
            Err(error) => Err(error.to_string()),
        },
    };
    findings.push(Finding::of("RabbitMQ", queue));
    Ok(findings)
}
