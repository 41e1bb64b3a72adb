//! Files and directories for their owner only, whatever the umask is. No link is followed.

use std::fs::{DirBuilder, File, Metadata, OpenOptions, Permissions};
use std::io::{Error, ErrorKind, Result};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

/// A link at the end of a path is an error, and opening a pipe does not block.
const FLAGS: i32 = libc::O_NOFOLLOW | libc::O_NONBLOCK;

/// Creates the directory where it is missing, and those above it. A directory that other users may
/// read stays as it is: it may be shared on purpose, and the files created in it are private
/// anyway.
pub(super) fn directory(path: &Path) -> Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    let mode = std::fs::metadata(path)?.permissions().mode();
    if mode & 0o077 != 0 {
        tracing::warn!(
            directory = %path.display(), mode = format!("{:03o}", mode & 0o777),
            "other users may list this directory, and read files that an older release created; \
             `chmod -R go= DIRECTORY` prevents that"
        );
    }
    Ok(())
}

pub(super) fn create(path: &Path) -> Result<File> {
    let file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .custom_flags(FLAGS)
        .open(path)?;
    narrow(&file)?;
    Ok(file)
}

/// A file that may exist already.
pub(super) fn create_or_open(path: &Path) -> Result<File> {
    let mut options = OpenOptions::new();
    options
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(FLAGS);
    let file = regular(options.open(path))?.0;
    narrow(&file)?;
    Ok(file)
}

pub(super) fn open_to_write(path: &Path) -> Result<File> {
    Ok(regular(
        OpenOptions::new()
            .write(true)
            .custom_flags(FLAGS)
            .open(path),
    )?
    .0)
}

pub(super) fn open(path: &Path) -> Result<(File, Metadata)> {
    regular(OpenOptions::new().read(true).custom_flags(FLAGS).open(path))
}

/// Makes the mode exactly `0600`: a umask may have removed more, and an older release allowed more.
fn narrow(file: &File) -> Result<()> {
    file.set_permissions(Permissions::from_mode(0o600))
}

fn regular(opened: Result<File>) -> Result<(File, Metadata)> {
    let irregular = || {
        Error::new(
            ErrorKind::InvalidInput,
            "it is not a regular file; links are not followed",
        )
    };
    let file = opened.map_err(|error| match error.raw_os_error() {
        // A link; a pipe without a reader.
        Some(libc::ELOOP | libc::ENXIO) => irregular(),
        Some(_) | None => error,
    })?;
    let metadata = file.metadata()?;
    if metadata.is_file() {
        Ok((file, metadata))
    } else {
        Err(irregular())
    }
}
