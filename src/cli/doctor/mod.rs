mod broker;
mod evidence;
mod finding;
mod fleet;
mod people;
mod protected;
mod safety;
mod stores;
mod survey;
mod tenant;

use super::columns;
use super::exit::{CliError, Exit};
use super::output::{Output, OutputArgs, json, say, table};
use crate::config::{AnySettings, Profile, Sources, show};
use crate::job::UserId;
use finding::Finding;

/// Checks settings, reachability, scopes and permissions; each finding says how to fix it
///
/// It runs all checks, even if some fail. To check whether the stores accept writes, it writes one small object to the
/// archive store (`_offboarder_probe`) and a key that expires after a second to Redis; it publishes a message that no
/// queue takes, and reads a dead letter that goes back. It changes nothing else.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  offboarder doctor
  offboarder doctor --output json
  offboarder doctor --user 3f1f0d4e-9a51-4b4b-8f6c-1f9a4f9b7c11
  offboarder doctor --show-settings")]
pub(crate) struct Args {
    /// Show the settings in force and their origin, with secrets masked, and check nothing
    #[arg(long)]
    show_settings: bool,
    /// Also read this user of the tenant, as a worker would, and answer what only a real user shows; nothing is written
    #[arg(long, value_name = "USER_ID", conflicts_with = "show_settings")]
    user: Option<UserId>,
    #[command(flatten)]
    output: OutputArgs,
}

pub(super) async fn run(args: &Args, sources: &Sources) -> Result<Exit, CliError> {
    if args.show_settings {
        return show_settings(args.output.output, sources);
    }
    let findings = findings(sources, args.user).await?;
    match args.output.output {
        Output::Json => json(&serde_json::json!({ "findings": findings }))?,
        Output::Table => {
            let mark = |finding: &Finding| match (finding.skipped, finding.ok, finding.warning) {
                (true, _, _) => "skipped".to_owned(),
                (false, true, false) => "ok".to_owned(),
                (false, true, true) => "WARNING".to_owned(),
                (false, false, _) => "NOT OK".to_owned(),
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
            say(table(columns::DOCTOR, rows));
            say(last_line(&findings));
        }
    }

    Ok(if findings.iter().any(|finding| finding.unreachable) {
        Exit::Unreachable
    } else if findings
        .iter()
        .any(|finding| finding.skipped && !finding.ok)
    {
        Exit::Usage
    } else if findings.iter().all(|finding| finding.ok) {
        Exit::Ok
    } else {
        Exit::Bad
    })
}

/// `2 of 24 not ok, 1 warning, 3 skipped`.
fn last_line(findings: &[Finding]) -> String {
    let count = |wanted: fn(&Finding) -> bool| findings.iter().filter(|one| wanted(one)).count();
    let not_ok = count(|finding| !finding.ok && !finding.skipped);
    let warnings = count(|finding| finding.warning);
    let skipped = count(|finding| finding.skipped);
    let checked = findings.len() - skipped;

    let mut parts = vec![match (not_ok, warnings) {
        (0, 0) => format!("all {checked} ok"),
        (0, _) => format!("{} of {checked} ok", checked - warnings),
        (_, _) => format!("{not_ok} of {checked} not ok"),
    }];
    match warnings {
        0 => {}
        1 => parts.push("1 warning".to_owned()),
        _ => parts.push(format!("{warnings} warnings")),
    }
    if skipped > 0 {
        parts.push(format!("{skipped} skipped"));
    }
    parts.join(", ")
}

fn show_settings(output: Output, sources: &Sources) -> Result<Exit, CliError> {
    let rows = show(sources);
    match output {
        Output::Json => json(&serde_json::json!({ "settings": rows }))?,
        Output::Table => say(table(
            columns::SETTINGS,
            rows.into_iter()
                .map(|row| [row.variable, row.value, row.source]),
        )),
    }
    Ok(Exit::Ok)
}

/// Checks all services concurrently, so that one that hangs does not delay the others. Without the settings of one, the
/// others are checked.
async fn findings(sources: &Sources, user_id: Option<UserId>) -> Result<Vec<Finding>, CliError> {
    let settings = AnySettings::read(sources)?;
    let base = &settings.base;
    let tenant = async {
        match &settings.cxone {
            Some(cxone) => tenant::examine(cxone, &base.guard, user_id).await,
            None => vec![Finding::needs(
                "CXone",
                &AnySettings::missing(sources, Profile::Run),
            )],
        }
    };
    let checks = tokio::join!(
        Box::pin(tenant),
        stores::checkpoints(base),
        Box::pin(stores::archive(base)),
        Box::pin(async { [protected::check(base).await, people::check(base).await].concat() }),
        Box::pin(broker::check(settings.queue.as_ref())),
        Box::pin(fleet::check(&settings)),
        Box::pin(async {
            let safety = safety::check(base, settings.queue.as_ref()).await;
            safety
                .into_iter()
                .chain(evidence::check(base).await)
                .collect()
        }),
    );
    let understood = Finding::good("settings", "valid");

    Ok([
        vec![understood],
        checks.0,
        checks.1,
        checks.2,
        checks.3,
        checks.4,
        checks.5,
        checks.6,
    ]
    .concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_counts_what_is_wrong_and_a_skipped_check_is_neither_right_nor_wrong() {
        let good = || Finding::good("a", "b");
        assert_eq!(last_line(&[good(), good()]), "all 2 ok");
        let warned = [good(), Finding::warning("a", "b", "c")];
        assert_eq!(last_line(&warned), "1 of 2 ok, 1 warning");
        let findings = [
            good(),
            Finding::bad("a", "b", "c"),
            Finding::warning("a", "b", "c"),
            Finding::skipped("a", "b"),
            Finding::needs("CXone", &["OFFBOARDER_CXONE_BASE_URI".to_owned()]),
        ];
        assert_eq!(last_line(&findings), "1 of 3 not ok, 1 warning, 2 skipped");
    }
}
