mod broker;
mod finding;
mod protected;
mod safety;
mod stores;
mod tenant;

use super::exit::{CliError, Exit};
use super::output::{Output, OutputArgs, json, say, table};
use crate::config::{Sources, TenantSettings, show};
use finding::Finding;

/// Checks settings, reachability, scopes and permissions; each finding says how to fix it
///
/// It runs all checks, even if some fail. To check whether the stores accept writes, it writes one small object to the
/// archive store (`_offboarder_probe`) and a key that expires after a second to Redis; it changes nothing else.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  offboarder doctor
  offboarder doctor --output json
  offboarder doctor --show-settings")]
pub(crate) struct Args {
    /// Show the settings in force and their origin, with secrets masked, and check nothing
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
                let remedy = finding.remedy.clone().unwrap_or_default();
                [
                    finding.check.clone(),
                    mark(finding),
                    finding.detail.clone(),
                    remedy,
                ]
            });
            say(table(["check", "", "finding", "how to fix it"], rows));
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

/// Checks all services concurrently, so that one that hangs does not delay the others.
async fn findings(sources: &Sources) -> Result<Vec<Finding>, CliError> {
    let settings = TenantSettings::read(sources)?;
    let base = &settings.base;
    let (tenant, checkpoints, archive, protected, broker, safety) = tokio::join!(
        Box::pin(tenant::examine(&settings.cxone, &base.guard)),
        stores::checkpoints(base),
        Box::pin(stores::archive(base)),
        Box::pin(protected::check(base)),
        Box::pin(broker::check(settings.queue.as_ref())),
        Box::pin(safety::check(base, settings.queue.as_ref())),
    );
    let understood = Finding::good("settings", "valid");

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
