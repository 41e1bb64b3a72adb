//! The commands. Each takes arguments, prints an answer on standard output and logs on standard error, and ends with an
//! exit status.

mod acting;
mod audit_log;
mod bar;
mod batch;
mod cancel;
mod check_message;
mod columns;
mod compose;
mod compose_documents;
mod compose_signers;
mod dead_letters;
mod demo;
mod doctor;
mod erase;
mod evidence;
mod evidence_writer;
mod exit;
mod explain;
mod flags;
mod folder;
mod follow;
mod guarded;
mod healthcheck;
mod hold;
mod init;
mod input;
mod known_manifests;
mod man;
mod new_file;
mod operations;
mod output;
mod pause;
mod people;
mod plan;
mod reactivate;
mod rehearsal;
mod rejects;
mod report;
mod run;
mod screen;
mod simulator;
mod simulator_flags;
mod status;
mod submit;
mod surge;
mod table;
mod timeline;
mod topology;
mod users;
mod verify;
mod worker;
mod workers;

use std::process::ExitCode;

use clap::{ArgMatches, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use clap_complete::Shell;
use tracing::Instrument as _;

use crate::config::{AnySettings, BrokerSettings, Settings, TenantSettings};
use crate::telemetry::{Telemetry, span};
use exit::{CliError, Exit};
use output::Shown;

/// Off-boards users of NICE CXone
///
/// For each user, offboarder removes the access at once, archives the conversations, deletes the account where the tenant
/// allows it, and stores a manifest as proof. A run that is interrupted resumes at the last completed step.
#[derive(Debug, Parser)]
#[command(
    name = "offboarder",
    version = VERSION,
    propagate_version = true,
    after_help = "\
Settings come from flags, OFFBOARDER_* variables or a TOML file.

Exit status:
  0  success
  1  completed, but found problems
  2  wrong usage or settings
  3  a service is unreachable
  4  a safety rule refused

Examples:
  offboarder doctor
  offboarder submit --file leavers.csv --batch-id 2026-11
  offboarder status 3f1f0d4e-9a51-4b4b-8f6c-1f9a4f9b7c11"
)]
struct Cli {
    /// Colours: auto is on a terminal, unless `NO_COLOR` or `CLICOLOR=0` is set
    #[arg(
        long,
        global = true,
        value_enum,
        default_value_t,
        value_name = "auto|always|never",
        hide_possible_values = true,
        hide_short_help = true
    )]
    color: screen::Colour,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Worker(worker::Args),
    Run(run::Args),
    Submit(submit::Args),
    Status(status::Args),
    Verify(verify::Args),
    Report(report::Args),
    Batch(batch::Args),
    Workers(workers::Args),
    Users(users::Args),
    Cancel(cancel::Args),
    Reactivate(reactivate::Args),
    #[command(alias = "dlq")]
    DeadLetters(dead_letters::Args),
    Operations(operations::Args),
    Hold(hold::Args),
    Plan(plan::Args),
    Pause(pause::PauseArgs),
    Resume(pause::ResumeArgs),
    Surge(surge::Args),
    AuditLog(audit_log::Args),
    People(people::Args),
    Evidence(evidence::Args),
    CheckMessage(check_message::Args),
    Topology(topology::Args),
    Doctor(doctor::Args),
    Explain(explain::Args),
    Init(init::Args),
    Healthcheck(healthcheck::Args),
    Simulator(simulator::Args),
    Demo(demo::Args),
    Man(man::Args),
    /// Prints the completion script of a shell
    #[command(
        after_help = "Example:\n  offboarder completions bash > /etc/bash_completion.d/offboarder"
    )]
    Completions {
        /// The shell
        shell: Shell,
    },
}

/// The release and the commit that this binary was built from.
const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), " (", env!("BUILD_COMMIT"), ")");

fn parser() -> clap::Command {
    flags::with_flags(Cli::command())
}

/// Runs the command that the arguments name.
pub async fn main() -> ExitCode {
    let matches = match parser().try_get_matches() {
        Ok(matches) => matches,
        // This also prints the help and the version, on the right stream.
        Err(error) => error.exit(),
    };
    let cli = match Cli::from_arg_matches(&matches) {
        Ok(cli) => cli,
        Err(error) => error.exit(),
    };
    screen::choose_colour(cli.color);
    let is_worker = matches!(cli.command, Command::Worker(_));
    let telemetry = match Telemetry::begin(is_worker) {
        Ok(telemetry) => telemetry,
        Err(error) => return report(Err(CliError::bad(error))),
    };
    // The traces of a worker begin with its deliveries.
    let span = match matches.subcommand_name() {
        Some(name) if !is_worker => span::command(name),
        Some(_) | None => tracing::Span::none(),
    };
    let ended = Box::pin(dispatch(&cli.command, &matches, &telemetry))
        .instrument(span)
        .await;
    let status = report(ended);

    telemetry.end().await;
    status
}

/// Prints the error, if there is one, and returns the exit status.
fn report(ended: Result<Exit, CliError>) -> ExitCode {
    match ended {
        Ok(exit) => exit.into(),
        Err(error) => {
            tracing::debug!(%error, "the command ended early");
            complain(&error);
            error.exit.into()
        }
    }
}

#[expect(
    clippy::print_stderr,
    reason = "the caller of a command that failed reads its error on standard error"
)]
fn complain(error: &CliError) {
    eprintln!("offboarder: {}", Shown::paragraph(&error.to_string()));
}

async fn dispatch(
    command: &Command,
    matches: &ArgMatches,
    telemetry: &Telemetry,
) -> Result<Exit, CliError> {
    let sources = || flags::sources(matches);
    match command {
        Command::Worker(args) => Box::pin(worker::run(args, &sources(), telemetry)).await,
        Command::Run(args) => Box::pin(run::run(args, &TenantSettings::read(&sources())?)).await,
        Command::Submit(args) => Box::pin(submit::run(args, &sources())).await,
        Command::Status(args) => status::run(args, &AnySettings::read(&sources())?).await,
        Command::Verify(args) => Box::pin(verify::run(args, &sources())).await,
        Command::Report(args) => Box::pin(report::run(args, &sources())).await,
        Command::Batch(args) => batch::run(args, &AnySettings::read(&sources())?).await,
        Command::Workers(args) => workers::run(args, &AnySettings::read(&sources())?).await,
        Command::Users(args) => users::run(args, &AnySettings::read(&sources())?).await,
        Command::Cancel(args) => cancel::run(args, &Settings::read(&sources())?).await,
        Command::Reactivate(args) => {
            Box::pin(reactivate::run(args, &TenantSettings::read(&sources())?)).await
        }
        Command::DeadLetters(args) => Box::pin(dead_letters::run(args, &sources())).await,
        Command::Operations(args) => Box::pin(operations::run(args, &sources())).await,
        Command::Hold(args) => hold::run(args, &Settings::read(&sources())?).await,
        Command::Pause(args) => pause::pause(args, &Settings::read(&sources())?).await,
        Command::Resume(args) => pause::resume(args, &Settings::read(&sources())?).await,
        Command::Surge(args) => surge::run(args, &Settings::read(&sources())?).await,
        Command::Plan(args) => Box::pin(plan::run(args, &sources())).await,
        Command::AuditLog(args) => audit_log::run(args, &Settings::read(&sources())?).await,
        Command::People(args) => people::run(args, &Settings::read(&sources())?).await,
        Command::Evidence(args) => evidence::run(args, sources).await,
        Command::CheckMessage(args) => check_message::run(args),
        Command::Topology(args) => {
            topology::run(
                args,
                &*compose::broker(&BrokerSettings::read(&sources())?.queue)?,
            )
            .await
        }
        Command::Doctor(args) => Box::pin(doctor::run(args, &sources())).await,
        Command::Explain(args) => explain::run(args),
        Command::Init(args) => init::run(args),
        Command::Healthcheck(args) => healthcheck::run(args).await,
        Command::Simulator(args) => simulator::run(args).await,
        Command::Demo(args) => Box::pin(demo::run(args)).await,
        Command::Man(args) => man::run(args, parser()),
        Command::Completions { shell } => {
            let mut parser = flags::with_config(Cli::command());
            clap_complete::generate(*shell, &mut parser, "offboarder", &mut std::io::stdout());
            Ok(Exit::Ok)
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_arguments_are_consistent_and_every_command_has_an_example() {
        let mut parser = super::parser();
        parser.build();
        parser.clone().debug_assert();
        let mut commands: Vec<&clap::Command> = parser.get_subcommands().collect();
        let mut seen = 0;
        while let Some(command) = commands.pop() {
            if command.get_name() == "help" {
                continue;
            }
            commands.extend(command.get_subcommands());
            let help = command
                .get_after_help()
                .map(ToString::to_string)
                .unwrap_or_default();
            assert!(
                help.contains("Example"),
                "{} has no example",
                command.get_name()
            );
            seen += 1;
        }
        assert!(seen > 25, "{seen} commands");
    }
}
