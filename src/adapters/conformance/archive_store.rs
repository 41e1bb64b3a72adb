//! What every archive store promises, over a directory and over S3.

use bytes::Bytes;
use futures_util::TryStreamExt as _;
use jiff::{SignedDuration, Timestamp};
use sha2::{Digest as _, Sha256};

use super::setup::{Archives, directory, s3};
use crate::clock::Clock;
use crate::failure::{Class, Code};
use crate::ports::{ArchiveStore, DateRange, ObjectKey, Part, PutOnce, UploadId, part_size_bytes};

super::over_each_adapter!({
    an_object_is_stored_once_and_never_overwritten,
    an_object_of_an_archive_keeps_its_dates_and_its_digest,
    what_is_not_there_is_reported_as_absent,
    a_document_that_is_too_large_is_not_read,
    an_object_of_parts_is_invisible_until_it_is_complete,
    a_part_that_is_stored_again_replaces_the_first,
    a_completion_never_overwrites,
    an_upload_that_was_aborted_is_lost,
    a_listing_shows_the_keys_of_its_prefix,
    every_object_is_listed_as_a_version,
    an_object_is_read_back_as_a_stream,
    a_probe_passes_again_and_leaves_the_store_usable,
} over directory, s3);

const DATES: DateRange = DateRange {
    from: Timestamp::UNIX_EPOCH,
    to: Timestamp::constant(1_000, 500_000_000),
};

pub(super) fn key(name: &str) -> ObjectKey {
    ObjectKey(name.to_owned())
}

fn text(text: &'static str) -> Bytes {
    Bytes::from_static(text.as_bytes())
}

async fn is_stored(store: &dyn ArchiveStore, name: &str, body: Bytes) -> bool {
    let put = store.put_once(&key(name), body, None).await.unwrap();
    matches!(put, PutOnce::Stored(_))
}

/// All parts but the last have the size that S3 asks for.
async fn upload(store: &dyn ArchiveStore, key: &ObjectKey) -> (UploadId, Vec<Part>, Bytes) {
    let upload = store.begin(key, &DATES).await.unwrap();
    let first = Bytes::from(vec![b'1'; part_size_bytes(1)]);
    let last = text("the last part");
    let offset = first.len() as u64;
    let parts = vec![
        put_part(store, key, &upload, 1, 0, &first).await,
        put_part(store, key, &upload, 2, offset, &last).await,
    ];
    (upload, parts, Bytes::from([first, last].concat()))
}

async fn put_part(
    store: &dyn ArchiveStore,
    key: &ObjectKey,
    upload: &UploadId,
    number: u32,
    offset: u64,
    body: &Bytes,
) -> Part {
    let part = store
        .put_part(key, upload, number, offset, body.clone())
        .await
        .unwrap();
    assert_eq!(part.number, number);
    assert_eq!(part.bytes, body.len() as u64);
    part
}

async fn an_object_is_stored_once_and_never_overwritten(archives: Archives) {
    let store = &*archives.store;
    assert!(is_stored(store, "u.json", text("one")).await);
    for body in ["one", "two", ""] {
        let put = store.put_once(&key("u.json"), text(body), None).await;
        assert_eq!(put.unwrap(), PutOnce::AlreadyThere, "{body}");
    }
    let read = store.read(&key("u.json"), 10).await.unwrap();
    assert_eq!(read.unwrap(), "one");
    assert!(store.full_key(&key("u.json")).ends_with("u.json"));
}

async fn an_object_of_an_archive_keeps_its_dates_and_its_digest(archives: Archives) {
    let store = &*archives.store;
    let put = store
        .put_once(&key("u.json"), text("one"), Some(&DATES))
        .await
        .unwrap();
    let PutOnce::Stored(stored) = put else {
        panic!("it was not there");
    };

    let version = stored.version_id.as_deref();
    let found = store.find(&key("u.json"), version).await.unwrap().unwrap();
    assert_eq!(found.bytes, 3);
    assert_eq!(found.dates, Some(DATES));
    assert_eq!(found.sha256, Some(hex::encode(Sha256::digest("one"))));
    assert_eq!(found.version_id, stored.version_id);
    assert_eq!(found.retention, None);

    is_stored(store, "document.json", text("{}")).await;
    let found = store.find(&key("document.json"), None).await.unwrap();
    assert_eq!(found.unwrap().dates, None);
}

async fn what_is_not_there_is_reported_as_absent(archives: Archives) {
    let store = &*archives.store;
    is_stored(store, "other.json", text("one")).await;
    let absent = key("u.json");
    assert_eq!(store.find(&absent, None).await.unwrap(), None);
    assert_eq!(store.read(&absent, 10).await.unwrap(), None);
    assert!(store.stream(&absent, None).await.unwrap().is_none());
    assert_eq!(store.uploads(&absent).await.unwrap(), []);
    assert_eq!(store.keys("u").await.unwrap(), []);
}

async fn a_document_that_is_too_large_is_not_read(archives: Archives) {
    let store = &*archives.store;
    is_stored(store, "u.json", text("12345")).await;
    let read = store.read(&key("u.json"), 5).await.unwrap();
    assert_eq!(read.unwrap(), "12345");
    let failure = store.read(&key("u.json"), 4).await.unwrap_err();
    assert_eq!(failure.class, Class::Defect);
    assert_eq!(failure.code, Code::ArchiveRejected);
}

async fn an_object_of_parts_is_invisible_until_it_is_complete(archives: Archives) {
    let store = &*archives.store;
    let key = key("u.json");
    let begun = upload(store, &key).await;
    assert_eq!(store.find(&key, None).await.unwrap(), None);
    assert_eq!(store.read(&key, 10).await.unwrap(), None);
    assert_eq!(store.keys("u").await.unwrap(), []);
    let uploads = store.uploads(&key).await.unwrap();
    assert_eq!(uploads, std::slice::from_ref(&begun.0));

    let completed = store.complete(&key, &begun.0, &begun.1).await.unwrap();
    assert!(matches!(completed, PutOnce::Stored(_)));
    let found = store.find(&key, None).await.unwrap().unwrap();
    assert_eq!(found.bytes, begun.2.len() as u64);
    assert_eq!(found.dates, Some(DATES));
    let read = store.read(&key, begun.2.len()).await.unwrap().unwrap();
    assert!(read == begun.2, "the bytes are those of the parts");
    assert_eq!(store.uploads(&key).await.unwrap(), []);
}

async fn a_part_that_is_stored_again_replaces_the_first(archives: Archives) {
    let store = &*archives.store;
    let key = key("u.json");
    let upload = store.begin(&key, &DATES).await.unwrap();
    put_part(store, &key, &upload, 1, 0, &text("a longer first try")).await;
    let part = put_part(store, &key, &upload, 1, 0, &text("again")).await;
    let completed = store.complete(&key, &upload, &[part]).await.unwrap();
    assert!(matches!(completed, PutOnce::Stored(_)));
    let read = store.read(&key, 100).await.unwrap();
    assert_eq!(read.unwrap(), "again");
}

async fn a_completion_never_overwrites(archives: Archives) {
    let store = &*archives.store;
    let key = key("u.json");
    let upload = store.begin(&key, &DATES).await.unwrap();
    let part = put_part(store, &key, &upload, 1, 0, &text("two")).await;
    assert!(is_stored(store, "u.json", text("one")).await);

    let completed = store.complete(&key, &upload, &[part]).await.unwrap();
    assert_eq!(completed, PutOnce::AlreadyThere);
    let read = store.read(&key, 10).await.unwrap();
    assert_eq!(read.unwrap(), "one");
    store.abort(&key, &upload).await.unwrap();
}

async fn an_upload_that_was_aborted_is_lost(archives: Archives) {
    let store = &*archives.store;
    let key = key("u.json");
    let upload = store.begin(&key, &DATES).await.unwrap();
    let part = put_part(store, &key, &upload, 1, 0, &text("one")).await;
    for _ in 0..2 {
        store.abort(&key, &upload).await.unwrap();
    }

    assert_eq!(store.uploads(&key).await.unwrap(), []);
    let put = store.put_part(&key, &upload, 2, 3, text("two")).await;
    assert_eq!(put.unwrap_err().code, Code::ArchiveUploadLost);
    let completed = store.complete(&key, &upload, &[part]).await;
    assert_eq!(completed.unwrap_err().code, Code::ArchiveUploadLost);
    assert_eq!(store.find(&key, None).await.unwrap(), None);
}

async fn a_listing_shows_the_keys_of_its_prefix(archives: Archives) {
    let store = &*archives.store;
    let before = Clock::system().now() - SignedDuration::from_secs(2);
    for name in ["a.1.json", "a.2.json", "b.json"] {
        is_stored(store, name, text("{}")).await;
    }

    let mut keys = store.keys("a.").await.unwrap();
    keys.sort_by(|one, other| one.as_str().cmp(other.as_str()));
    assert_eq!(keys, [key("a.1.json"), key("a.2.json")]);
    for listed in store.list("").await.unwrap() {
        assert!(listed.modified >= before, "{listed:?}");
        assert!(
            listed.modified <= Clock::system().now() + SignedDuration::from_secs(2),
            "{listed:?}"
        );
    }
    assert_eq!(store.keys("").await.unwrap().len(), 3);
    assert_eq!(store.keys("c").await.unwrap(), []);
    assert_eq!(store.hidden("").await.unwrap(), []);
}

async fn every_object_is_listed_as_a_version(archives: Archives) {
    let store = &*archives.store;
    for name in ["a.json", "b.json"] {
        is_stored(store, name, text("{}")).await;
    }
    let versions: Vec<_> = store.versions("a").try_collect().await.unwrap();
    assert_eq!(versions.len(), 1);
    assert_eq!(versions[0].key, key("a.json"));
    assert!(versions[0].latest && !versions[0].deletes);
}

async fn an_object_is_read_back_as_a_stream(archives: Archives) {
    let store = &*archives.store;
    let key = key("u.json");
    let begun = upload(store, &key).await;
    let completed = store.complete(&key, &begun.0, &begun.1).await.unwrap();
    let PutOnce::Stored(stored) = completed else {
        panic!("it was not there");
    };
    for version in [None, stored.version_id.as_deref()] {
        let chunks = store.stream(&key, version).await.unwrap().unwrap();
        let chunks: Vec<Bytes> = chunks.try_collect().await.unwrap();
        assert!(chunks.concat() == begun.2, "{version:?}");
    }
}

async fn a_probe_passes_again_and_leaves_the_store_usable(archives: Archives) {
    let store = &*archives.store;
    for _ in 0..3 {
        store.probe().await.unwrap();
    }
    for key in store.keys("").await.unwrap() {
        assert!(key.as_str().starts_with("_offboarder_probe"), "{key:?}");
    }
    assert!(is_stored(store, "u.json", text("one")).await);
}
