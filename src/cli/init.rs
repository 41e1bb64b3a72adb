use std::fs::OpenOptions;
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;

use super::exit::{CliError, Exit};
use super::output::say;
use crate::config::template;

/// Writes a commented settings file
///
/// The file has every setting of this release with its meaning and its default, as comments, and changes nothing until a
/// line is edited. Only its owner can read it. An existing file is never overwritten.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  offboarder init
  offboarder init /etc/offboarder/settings.toml
  offboarder --config offboarder.toml doctor")]
pub(crate) struct Args {
    /// The file to write
    #[arg(value_name = "FILE", default_value = "offboarder.toml")]
    file: PathBuf,
}

pub(super) fn run(args: &Args) -> Result<Exit, CliError> {
    let shown = args.file.display();
    let failed = |error: std::io::Error| match error.kind() {
        ErrorKind::AlreadyExists => CliError::usage(format!(
            "{shown} exists, and is not overwritten; name another file, or remove it"
        )),
        _ => CliError::usage(format!("cannot write {shown}: {error}")),
    };

    // It may hold secrets later.
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&args.file)
        .map_err(failed)?;
    file.write_all(template().as_bytes()).map_err(failed)?;

    say(format!("{shown} is written. Edit it, then check it:"));
    say(format!("  offboarder --config {shown} doctor"));
    Ok(Exit::Ok)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn the_file_is_for_its_owner_only_and_never_overwritten() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("o.toml");
        let args = Args { file: file.clone() };
        assert_eq!(run(&args).unwrap(), Exit::Ok);
        let mode = std::fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);

        std::fs::write(&file, "mine").unwrap();
        let error = run(&args).unwrap_err();
        assert_eq!(error.exit, Exit::Usage);
        assert!(error.to_string().contains("is not overwritten"), "{error}");
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "mine");
    }
}
