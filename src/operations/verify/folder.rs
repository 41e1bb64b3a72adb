//! Directories of downloaded objects.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use super::holdings::owned;
use crate::job::UserId;
use crate::ports::ObjectKey;

/// `root` and the directories below it that have objects of users, whatever the layout of the download. Links are not
/// followed.
pub(crate) fn folders(root: &Path) -> io::Result<BTreeSet<PathBuf>> {
    let mut found = BTreeSet::new();
    let mut left = vec![root.to_owned()];

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

/// Entries with the name of a user's object that are no regular files. They must not be opened: a link points elsewhere,
/// and a pipe never ends.
pub(crate) fn no_files(directory: &Path) -> io::Result<BTreeMap<UserId, Vec<String>>> {
    let mut found = BTreeMap::<UserId, Vec<String>>::new();
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        // The type of the entry itself: a link is not followed.
        if !entry.file_type()?.is_file()
            && let Ok(name) = entry.file_name().into_string()
            && let Some((user_id, ..)) = owned(&ObjectKey(name.clone()))
        {
            found.entry(user_id).or_default().push(name);
        }
    }
    for names in found.values_mut() {
        names.sort();
    }

    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_are_found_at_any_depth_and_other_files_are_not() {
        let root = tempfile::tempdir().unwrap();
        let deep = root.path().join("bucket/deprovisioning");
        let empty = root.path().join("other");
        std::fs::create_dir_all(&deep).unwrap();
        std::fs::create_dir_all(&empty).unwrap();
        std::fs::write(
            deep.join("3f1f0d4e-9a51-4b4b-8f6c-1f9a4f9b7c11_audit.json"),
            "{}",
        )
        .unwrap();
        std::fs::write(empty.join("notes.json"), "{}").unwrap();
        assert_eq!(folders(root.path()).unwrap(), BTreeSet::from([deep]));
    }

    #[test]
    fn links_pipes_and_directories_with_the_name_of_an_object_are_not_opened() {
        let root = tempfile::tempdir().unwrap();
        let ids = [
            "3f1f0d4e-9a51-4b4b-8f6c-1f9a4f9b7c11",
            "3f1f0d4e-9a51-4b4b-8f6c-1f9a4f9b7c12",
        ];
        let [one, other] = ids.map(|id| id.parse().unwrap());
        let at = |name: &str| root.path().join(name);
        let [file, link, pipe, directory] = [
            format!("{one}.json"),
            format!("{one}_audit.json"),
            format!("{other}_audit.json"),
            format!("{other}_sealed.json"),
        ];
        std::fs::write(at(&file), "[]").unwrap();
        std::os::unix::fs::symlink("/etc/hostname", at(&link)).unwrap();
        std::os::unix::fs::symlink("/dev/zero", at("notes")).unwrap();
        assert!(
            std::process::Command::new("mkfifo")
                .arg(at(&pipe))
                .status()
                .unwrap()
                .success()
        );
        std::fs::create_dir(at(&directory)).unwrap();
        let found = no_files(root.path()).unwrap();
        assert_eq!(
            found,
            BTreeMap::from([(one, vec![link]), (other, vec![pipe, directory])])
        );
    }
}
