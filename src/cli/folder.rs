//! A directory of downloaded objects.

use std::path::Path;
use std::sync::Arc;

use super::compose;
use super::exit::CliError;
use crate::operations::report::Strangers;
use crate::operations::verify::{folders, no_files};
use crate::ports::ArchiveStore;

/// The directory below `folder` that has objects of users, and the names in it that must not be opened.
pub(super) fn open(folder: &Path) -> Result<(Arc<dyn ArchiveStore>, Strangers), CliError> {
    let shown = folder.display();
    let unreadable = |error| CliError::usage(format!("--folder {shown}: {error}"));
    let mut found = folders(folder).map_err(unreadable)?;
    let Some(directory) = found.pop_first() else {
        return Err(CliError::bad(format!("{shown} has no object of any user")));
    };
    if let Some(other) = found.first() {
        return Err(CliError::usage(format!(
            "objects are in {} and in {}; name one of them",
            directory.display(),
            other.display()
        )));
    }
    let strangers = no_files(&directory).map_err(unreadable)?;
    Ok((compose::directory_store(&directory)?, strangers))
}
