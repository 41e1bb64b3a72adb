mod broker;
mod finding;
mod protected;
mod safety;
mod stores;
mod tenant;

use super::exit::{CliError, Exit};
use super::output::{Output, OutputArgs, json, say, table};
use crate::config::{Settings, Sources, show};
use finding::Finding;

/// Checks settings, reachability, scopes and permissions; each finding says how to mend it
///
/// Every check is made, whatever comes out of the others. It changes nothing but one small object in the
/// archive store, `_offboarder_probe`, by which it finds out whether the store overwrites, and a key in
/// Redis that is gone after a second.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  offboarder doctor
  offboarder doctor --output json
  offboarder doctor --show-settings")]
pub(crate) struct Args {
    /// Show what is in force and where it came from, secrets masked
    #[arg(long)]
    show_settings: bool,
    #[command(flatten)]
    output: OutputArgs,
}

pub(super) async fn run(args: &Args, sources: &Sources) -> Result<Exit, CliError> {
    if args.show_settings {
        return show_settings(args.output.output, sources);
    }
    let findings = findings(sources).await?;
    match args.output.output {
        Output::Json => json(&serde_json::json!({ "findings": findings }))?,
        Output::Table => {
            let mark = |finding: &Finding| match (finding.ok, finding.warning) {
                (true, false) => "ok".to_owned(),
                (true, true) => "WARNING".to_owned(),
                (false, _) => "NOT OK".to_owned(),
            };
            let rows = findings.iter().map(|finding| {
                let mend = finding.mend.clone().unwrap_or_default();
                [
                    finding.check.clone(),
                    mark(finding),
                    finding.detail.clone(),
                    mend,
                ]
            });
            say(table(["check", "", "finding", "how to mend it"], rows));
        }
    }
    Ok(if findings.iter().any(|finding| finding.unreachable) {
        Exit::Unreachable
    } else if findings.iter().all(|finding| finding.ok) {
        Exit::Ok
    } else {
        Exit::Bad
    })
}

fn show_settings(output: Output, sources: &Sources) -> Result<Exit, CliError> {
    let rows = show(sources);
    match output {
        Output::Json => json(&serde_json::json!({ "settings": rows }))?,
        Output::Table => say(table(
            ["variable", "value", "from"],
            rows.into_iter()
                .map(|row| [row.variable, row.value, row.source]),
        )),
    }
    Ok(Exit::Ok)
}

/// All services side by side, so that one that hangs does not hold up the next.
async fn findings(sources: &Sources) -> Result<Vec<Finding>, CliError> {
    let settings = Settings::for_run(sources)?;
    let (tenant, checkpoints, archive, protected, broker, safety) = tokio::join!(
        Box::pin(tenant::examine(&settings)),
        stores::checkpoints(&settings),
        Box::pin(stores::archive(&settings)),
        Box::pin(protected::look(&settings)),
        Box::pin(broker::look(settings.queue.as_ref())),
        Box::pin(safety::look(&settings)),
    );
    let understood = Finding::well("settings", "understood");
    Ok([
        vec![understood],
        tenant,
        checkpoints,
        archive,
        protected,
        broker,
        safety,
    ]
    .concat())
}
