//! The files of the store: every function here blocks.

use std::fs::{File, Metadata};
use std::io::{ErrorKind, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;

use bytes::Bytes;
use jiff::Timestamp;
use sha2::{Digest as _, Sha256};
use xattr::FileExt as _;

use super::error::DirectoryError;
use crate::adapters::private;
use crate::ports::{DateRange, Found, Listed, ObjectKey, PutOnce, Stored, UploadId};

/// The extended attributes that keep the dates of an archive, in the name space that every user may
/// write.
const DATES: [&str; 2] = ["user.offboarder-date-from", "user.offboarder-date-to"];
/// The extended attribute that keeps the SHA-256 of a file that was written at once.
const SHA256: &str = "user.offboarder-sha256";

/// The name of a file is on the disk only once its directory is.
fn sync_directory(root: &Path) -> Result<(), DirectoryError> {
    File::open(root)
        .and_then(|directory| directory.sync_all())
        .map_err(|error| DirectoryError::of(&error, root))
}

/// Gives a finished temporary file its name, unless the name is taken: `link(2)` fails then, while
/// `rename(2)` would overwrite.
fn publish(root: &Path, temporary: &Path, path: &Path) -> Result<PutOnce, DirectoryError> {
    let outcome = match std::fs::hard_link(temporary, path) {
        Ok(()) => PutOnce::Stored(Stored {
            version_id: None,
            retention: None,
            proof: None,
        }),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => PutOnce::AlreadyThere,
        Err(error) => return Err(DirectoryError::of(&error, path)),
    };
    sync_directory(root)?;
    if matches!(outcome, PutOnce::Stored(_)) {
        std::fs::remove_file(temporary).map_err(|error| DirectoryError::of(&error, temporary))?;
    }

    Ok(outcome)
}

pub(super) fn write_whole(
    root: &Path,
    temporary: &Path,
    path: &Path,
    body: &[u8],
    dates: Option<&DateRange>,
) -> Result<PutOnce, DirectoryError> {
    let failed = |error| DirectoryError::of(&error, temporary);
    let mut file = private::create(temporary).map_err(failed)?;

    if let Some(dates) = dates {
        write_dates(temporary, dates);
        set_attribute(temporary, SHA256, &hex::encode(Sha256::digest(body)));
    }
    let written = file
        .write_all(body)
        .and_then(|()| file.sync_all())
        .map_err(failed);
    let outcome = written.and_then(|()| publish(root, temporary, path));
    if !matches!(outcome, Ok(PutOnce::Stored(_))) {
        // No half-written file stays. The outcome says what went wrong.
        std::fs::remove_file(temporary).ok();
    }

    outcome
}

/// Writes a part at its place and cuts off what an earlier try left after it.
pub(super) fn write_part(
    temporary: &Path,
    offset_bytes: u64,
    body: &[u8],
) -> Result<(), DirectoryError> {
    let failed = |error: std::io::Error| match error.kind() {
        ErrorKind::NotFound => DirectoryError::UploadLost {
            path: temporary.to_owned(),
        },
        _ => DirectoryError::of(&error, temporary),
    };
    let mut file = private::open_to_write(temporary).map_err(failed)?;

    if file.metadata().map_err(failed)?.len() < offset_bytes {
        return Err(DirectoryError::UploadLost {
            path: temporary.to_owned(),
        });
    }
    file.set_len(offset_bytes).map_err(failed)?;
    file.seek(SeekFrom::Start(offset_bytes)).map_err(failed)?;

    file.write_all(body)
        .and_then(|()| file.sync_data())
        .map_err(failed)
}

/// Keeps the dates with the file, so that they appear with it. On a file system without extended
/// attributes there are none: a run that lost its checkpoint then refuses the archive and does not
/// guess.
pub(super) fn write_dates(path: &Path, dates: &DateRange) {
    for (name, value) in DATES.into_iter().zip(dates.values()) {
        set_attribute(path, name, &value);
    }
}

fn set_attribute(path: &Path, name: &str, value: &str) {
    if let Err(error) = xattr::set(path, name, value.as_bytes()) {
        tracing::debug!(path = %path.display(), %error, "no extended attribute was written");
    }
}

fn attribute(file: &File, name: &str) -> Option<String> {
    file.get_xattr(name)
        .ok()
        .flatten()
        .and_then(|value| String::from_utf8(value).ok())
}

/// Opens the file of an object; `None` where there is none. No link is followed, and a pipe does
/// not block.
pub(super) fn open(path: &Path) -> Result<Option<(File, Metadata)>, DirectoryError> {
    match private::open(path) {
        Ok(opened) => Ok(Some(opened)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(DirectoryError::of(&error, path)),
    }
}

pub(super) fn list(root: &Path, prefix: &str) -> Result<Vec<Listed>, DirectoryError> {
    let failed = |error| DirectoryError::of(&error, root);
    let mut listed = Vec::new();

    for entry in std::fs::read_dir(root).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let Some(key) = entry
            .file_name()
            .to_str()
            .filter(|name| name.starts_with(prefix))
            .map(str::to_owned)
        else {
            continue;
        };
        let modified = match entry.metadata().and_then(|metadata| metadata.modified()) {
            Ok(modified) => Timestamp::try_from(modified).unwrap_or(Timestamp::UNIX_EPOCH),
            // A temporary file whose upload ended after it was listed.
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Err(error) => return Err(DirectoryError::of(&error, &entry.path())),
        };
        listed.push(Listed {
            key: ObjectKey(key),
            modified,
        });
    }
    Ok(listed)
}

/// What is known of an object; `None` where there is none.
pub(super) fn find(path: &Path) -> Result<Option<Found>, DirectoryError> {
    let Some((file, metadata)) = open(path)? else {
        return Ok(None);
    };

    let [from, to] = DATES.map(|name| attribute(&file, name));
    Ok(Some(Found {
        bytes: metadata.len(),
        version_id: None,
        etag: None,
        retention: None,
        dates: DateRange::parse(from.as_deref(), to.as_deref()),
        sha256: attribute(&file, SHA256),
        crc32c: None,
    }))
}

pub(super) fn read(path: &Path, max_bytes: usize) -> Result<Option<Bytes>, DirectoryError> {
    let Some((mut file, metadata)) = open(path)? else {
        return Ok(None);
    };
    let bytes = metadata.len();
    if bytes > max_bytes as u64 {
        return Err(DirectoryError::TooLarge {
            path: path.to_owned(),
            bytes,
            max_bytes,
        });
    }

    let mut body = Vec::new();
    file.read_to_end(&mut body)
        .map_err(|error| DirectoryError::of(&error, path))?;
    Ok(Some(Bytes::from(body)))
}

/// The uploads whose temporary files begin with `prefix`.
pub(super) fn uploads(root: &Path, prefix: &str) -> Result<Vec<UploadId>, DirectoryError> {
    let failed = |error| DirectoryError::of(&error, root);
    let mut uploads = Vec::new();
    for entry in std::fs::read_dir(root).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        let id = name
            .to_str()
            .and_then(|name| name.strip_prefix(prefix)?.strip_suffix(".part"));
        uploads.extend(id.map(|id| UploadId(id.to_owned())));
    }
    Ok(uploads)
}

/// Publishes a temporary file that has as many bytes as all parts together.
pub(super) fn complete(
    root: &Path,
    temporary: &Path,
    path: &Path,
    expected: u64,
) -> Result<PutOnce, DirectoryError> {
    let lost = || DirectoryError::UploadLost {
        path: temporary.to_owned(),
    };
    let failed = |error| DirectoryError::of(&error, temporary);

    let file = private::open_to_write(temporary).map_err(|_gone| lost())?;
    if file.metadata().map_err(failed)?.len() != expected {
        return Err(lost());
    }
    file.sync_all().map_err(failed)?;
    publish(root, temporary, path)
}

/// Removes a file; one that is gone already is not an error.
pub(super) fn remove(path: &Path) -> Result<(), DirectoryError> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(DirectoryError::of(&error, path)),
        Ok(()) | Err(_) => Ok(()),
    }
}
