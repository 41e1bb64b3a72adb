//! The file itself; what it keeps is tested by the conformance suite of checkpoint stores.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::database::FILE_NAME;
use super::error::EmbeddedError;
use super::*;
use crate::clock::Clock;

#[test]
fn the_file_is_for_its_owner_only_and_one_of_an_older_release_becomes_so() {
    let directory = tempfile::tempdir().unwrap();
    let place = directory.path().join("offboarder-data");
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let file = place.join(FILE_NAME);
    for wide in [0o600, 0o644] {
        drop(EmbeddedCheckpoints::open(&place, Clock::system()).unwrap());
        assert_eq!((mode(&place), mode(&file)), (0o700, 0o600), "{wide:o}");
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(wide)).unwrap();
    }
    drop(EmbeddedCheckpoints::open(&place, Clock::system()).unwrap());
    assert_eq!(mode(&file), 0o600);
    let other = directory.path().join("other");
    std::fs::create_dir(&other).unwrap();
    std::os::unix::fs::symlink(&file, other.join(FILE_NAME)).unwrap();
    assert!(matches!(
        EmbeddedCheckpoints::open(&other, Clock::system()),
        Err(EmbeddedError::Failed { .. })
    ));
}

#[tokio::test]
async fn a_second_process_gets_an_error_that_says_who_has_the_file() {
    let directory = tempfile::tempdir().unwrap();
    let _first = EmbeddedCheckpoints::open(directory.path(), Clock::system()).unwrap();
    assert!(matches!(
        EmbeddedCheckpoints::open(directory.path(), Clock::system()),
        Err(EmbeddedError::InUse { .. })
    ));
}
