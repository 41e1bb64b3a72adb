//! The file of rejects: the lines of an input that are left out.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use super::exit::CliError;
use crate::operations::submit::Fault;
use crate::printable;

/// Writes faults as CSV. The file is created with the first one, and only if it does not exist: a list that somebody
/// still needs is never overwritten. It holds personal data, so only its owner may read it.
pub(super) struct Rejects {
    path: Option<PathBuf>,
    out: Option<csv::Writer<File>>,
}

impl Rejects {
    pub(super) fn new(path: Option<&Path>) -> Result<Self, CliError> {
        match path {
            Some(path) if path.try_exists().map_err(|error| failed(path, &error))? => {
                Err(CliError::usage(format!(
                    "--rejects {}: the file exists; name another one, or remove it",
                    path.display()
                )))
            }
            path => Ok(Self {
                path: path.map(Path::to_owned),
                out: None,
            }),
        }
    }

    /// `input` is the text of the row.
    pub(super) fn add(&mut self, fault: &Fault, input: &str) -> io::Result<()> {
        let Some(path) = &self.path else {
            return Ok(());
        };
        let out = match &mut self.out {
            Some(out) => out,
            None => self.out.insert(create(path)?),
        };
        let line = fault.line.map_or_else(String::new, |line| line.to_string());
        let record = [line, printable::cell(input), printable::cell(&fault.what)];
        out.write_record(record).map_err(io::Error::from)
    }

    /// The file, if there was a fault.
    pub(super) fn finish(self) -> Result<Option<PathBuf>, CliError> {
        let Some((path, mut out)) = self.path.zip(self.out) else {
            return Ok(None);
        };
        out.flush().map_err(|error| failed(&path, &error))?;
        Ok(Some(path))
    }
}

fn create(path: &Path) -> io::Result<csv::Writer<File>> {
    let file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))?;
    let mut out = csv::Writer::from_writer(file);
    out.write_record(["line", "input", "why"])?;
    Ok(out)
}

fn failed(path: &Path, error: &io::Error) -> CliError {
    CliError::usage(format!("--rejects {}: {error}", path.display()))
}
