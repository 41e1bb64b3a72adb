use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use super::holdings::owned;
use crate::ports::ObjectKey;

/// The directories below (and with) `root` that hold objects of users, however the download laid them out.
/// Links are not followed.
pub fn folders(root: &Path) -> io::Result<BTreeSet<PathBuf>> {
    let (mut found, mut left) = (BTreeSet::new(), vec![root.to_owned()]);
    while let Some(directory) = left.pop() {
        for entry in std::fs::read_dir(&directory)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                left.push(entry.path());
            } else if let Ok(name) = entry.file_name().into_string()
                && owned(&ObjectKey(name)).is_some()
            {
                found.insert(directory.clone());
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_are_found_at_any_depth_and_strangers_are_not() {
        let root = tempfile::tempdir().unwrap();
        let (deep, empty) = (root.path().join("bucket/deprovisioning"), root.path().join("other"));
        std::fs::create_dir_all(&deep).unwrap();
        std::fs::create_dir_all(&empty).unwrap();
        std::fs::write(deep.join("3f1f0d4e-9a51-4b4b-8f6c-1f9a4f9b7c11_audit.json"), "{}").unwrap();
        std::fs::write(empty.join("notes.json"), "{}").unwrap();
        assert_eq!(folders(root.path()).unwrap(), BTreeSet::from([deep]));
    }
}
