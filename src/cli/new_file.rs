//! Files that a command writes for its owner alone.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use super::exit::CliError;

/// Writes a text and a line feed to a file that must not exist.
pub(super) fn write_new(path: &Path, text: &str) -> Result<(), CliError> {
    let shown = path.display();
    let failed = |error: std::io::Error| match error.kind() {
        ErrorKind::AlreadyExists => CliError::usage(format!(
            "{shown} exists, and is not overwritten; name another file"
        )),
        _ => CliError::usage(format!("cannot write {shown}: {error}")),
    };
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(failed)?;
    writeln!(file, "{text}").map_err(failed)?;
    file.sync_all().map_err(failed)
}
