use std::path::PathBuf;

use super::exit::{CliError, Exit};
use super::output::say;

/// Writes a man page for each command
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  offboarder man /usr/local/share/man/man1")]
pub(crate) struct Args {
    /// The directory to write to; it is created if it does not exist
    directory: PathBuf,
}

pub(super) fn run(args: &Args, parser: clap::Command) -> Result<Exit, CliError> {
    let place = args.directory.display();
    let failed = |error: std::io::Error| {
        CliError::usage(format!("cannot write man pages to {place}: {error}"))
    };
    std::fs::create_dir_all(&args.directory).map_err(failed)?;
    clap_mangen::generate_to(parser, &args.directory).map_err(failed)?;
    let written = std::fs::read_dir(&args.directory).map_err(failed)?.count();
    say(format!(
        "{written} files in {place}; to read one: man -l {place}/offboarder.1"
    ));
    Ok(Exit::Ok)
}
