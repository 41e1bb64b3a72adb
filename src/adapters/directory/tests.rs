//! What the files look like; what they mean is tested by the conformance suite of archive stores.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use bytes::Bytes;
use jiff::Timestamp;

use super::store::DirectoryStore;
use crate::clock::Clock;
use crate::failure::Code;
use crate::ports::{ArchiveStore as _, DateRange, ObjectKey, PutOnce};

const DATES: DateRange = DateRange {
    from: Timestamp::UNIX_EPOCH,
    to: Timestamp::constant(1_000, 500_000_000),
};

fn key() -> ObjectKey {
    ObjectKey("u.json".to_owned())
}

fn files(directory: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[tokio::test]
async fn a_second_object_of_the_same_name_changes_nothing_and_leaves_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let store = DirectoryStore::open(directory.path()).unwrap();
    assert!(matches!(
        store
            .put_once(&key(), Bytes::from_static(b"one"), None)
            .await
            .unwrap(),
        PutOnce::Stored(_)
    ));
    assert_eq!(
        store
            .put_once(&key(), Bytes::from_static(b"two"), None)
            .await
            .unwrap(),
        PutOnce::AlreadyThere
    );
    assert_eq!(store.read(&key(), 10).await.unwrap().unwrap(), "one");
    assert_eq!(files(directory.path()), ["u.json"]);
}

#[tokio::test]
async fn an_object_of_parts_is_invisible_until_it_is_whole_and_a_part_may_be_stored_again() {
    let directory = tempfile::tempdir().unwrap();
    let store = DirectoryStore::open(directory.path()).unwrap();
    let upload = store.begin(&key(), &DATES).await.unwrap();
    let one = store
        .put_part(&key(), &upload, 1, 0, Bytes::from_static(b"one,"))
        .await
        .unwrap();
    store
        .put_part(
            &key(),
            &upload,
            2,
            4,
            Bytes::from_static(b"half-written part"),
        )
        .await
        .unwrap();
    let two = store
        .put_part(&key(), &upload, 2, 4, Bytes::from_static(b"two"))
        .await
        .unwrap();
    assert_eq!(store.find(&key(), None).await.unwrap(), None);
    let done = store.complete(&key(), &upload, &[one, two]).await.unwrap();
    assert!(matches!(done, PutOnce::Stored(_)));
    assert_eq!(store.read(&key(), 10).await.unwrap().unwrap(), "one,two");
    assert_eq!(
        store.find(&key(), None).await.unwrap().unwrap().dates,
        Some(DATES)
    );
    assert_eq!(files(directory.path()), ["u.json"]);
}

#[tokio::test]
async fn an_upload_that_is_gone_is_reported_as_lost() {
    let directory = tempfile::tempdir().unwrap();
    let store = DirectoryStore::open(directory.path()).unwrap();
    let upload = store.begin(&key(), &DATES).await.unwrap();
    assert_eq!(
        store.uploads(&key()).await.unwrap(),
        std::slice::from_ref(&upload)
    );
    store.abort(&key(), &upload).await.unwrap();
    store.abort(&key(), &upload).await.unwrap();
    assert_eq!(store.uploads(&key()).await.unwrap(), []);
    let error = store
        .put_part(&key(), &upload, 1, 0, Bytes::from_static(b"x"))
        .await
        .unwrap_err();
    assert_eq!(error.code, Code::ArchiveUploadLost);
    assert!(files(directory.path()).is_empty());
}

#[tokio::test]
async fn a_listing_says_when_an_object_was_written() {
    let directory = tempfile::tempdir().unwrap();
    let store = DirectoryStore::open(directory.path()).unwrap();
    let before = Clock::system().now() - jiff::SignedDuration::from_secs(2);
    store
        .put_once(&key(), Bytes::from_static(b"one"), None)
        .await
        .unwrap();
    store
        .put_once(
            &ObjectKey("v.json".to_owned()),
            Bytes::from_static(b"two"),
            None,
        )
        .await
        .unwrap();
    let listed = store.list("u").await.unwrap();
    assert_eq!(
        listed.iter().map(|one| &one.key).collect::<Vec<_>>(),
        [&key()]
    );
    assert!(
        listed[0].modified >= before && listed[0].modified <= Clock::system().now(),
        "{listed:?}"
    );
    assert_eq!(store.keys("u").await.unwrap(), [key()]);
    assert_eq!(store.hidden("").await.unwrap(), []);
}

#[tokio::test]
async fn what_is_stored_is_for_its_owner_only() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().join("a/b");
    let store = DirectoryStore::open(&root).unwrap();
    let upload = store
        .begin(&ObjectKey("v.json".to_owned()), &DATES)
        .await
        .unwrap();
    store
        .put_once(&key(), Bytes::from_static(b"one"), Some(&DATES))
        .await
        .unwrap();
    store.probe().await.unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(
        (mode(&root), mode(&directory.path().join("a"))),
        (0o700, 0o700)
    );
    let files = files(&root);
    assert_eq!(files.len(), 3, "{files:?} {upload:?}");
    for file in files {
        assert_eq!(mode(&root.join(&file)), 0o600, "{file}");
    }
}

#[tokio::test]
async fn a_link_in_the_place_of_an_object_is_not_followed_and_a_pipe_does_not_block() {
    let directory = tempfile::tempdir().unwrap();
    let secret = directory.path().join("secret");
    std::fs::write(&secret, "secret").unwrap();
    let store = DirectoryStore::open(&directory.path().join("store")).unwrap();
    let place = directory.path().join("store/u.json");
    std::os::unix::fs::symlink(&secret, &place).unwrap();
    let pipe = std::process::Command::new("mkfifo")
        .arg(directory.path().join("store/v.json"))
        .status();
    assert!(pipe.unwrap().success());
    for name in ["u.json", "v.json"] {
        let key = ObjectKey(name.to_owned());
        for failure in [
            store.find(&key, None).await.unwrap_err(),
            store.read(&key, 10).await.unwrap_err(),
            store.stream(&key, None).await.map(drop).unwrap_err(),
        ] {
            assert!(
                failure.text.contains(name) && failure.text.contains("not a regular file"),
                "{failure}"
            );
        }
    }
    let put = store
        .put_once(&key(), Bytes::from_static(b"one"), None)
        .await
        .unwrap();
    assert_eq!(put, PutOnce::AlreadyThere);
    assert_eq!(std::fs::read(&secret).unwrap(), b"secret");
}
