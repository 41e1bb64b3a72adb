//! What only S3 promises: versions, delete markers, Object Lock and checksums.

use std::time::Duration;

use bytes::Bytes;
use futures_util::TryStreamExt as _;
use jiff::{SignedDuration, Timestamp};

use super::archive_store::key;
use super::servers;
use super::setup::{s3_client, s3_store};
use crate::adapters::s3::S3Store;
use crate::clock::Clock;
use crate::failure::Code;
use crate::limits::{Retention, RetentionMode};
use crate::ports::{ArchiveStore as _, BucketHealth as _, ObjectKey, PutOnce, crc32c};

async fn put(store: &S3Store, key: &ObjectKey, body: &'static str) -> Option<String> {
    let body = Bytes::from_static(body.as_bytes());
    match store.put_once(key, body, None).await.unwrap() {
        PutOnce::Stored(stored) => stored.version_id,
        PutOnce::AlreadyThere => panic!("it is there"),
    }
}

async fn hide(store: &S3Store, key: &ObjectKey) {
    let server = servers::s3();
    let deleting = s3_client(&server)
        .delete_object()
        .bucket(&server.bucket)
        .key(store.full_key(key));
    deleting.send().await.unwrap();
}

#[tokio::test]
async fn an_object_behind_a_delete_marker_is_hidden_and_its_versions_are_listed() {
    let store = s3_store();
    let key = key("u.json");
    let first = put(&store, &key, "one").await;
    assert!(first.is_some(), "the bucket keeps versions");
    hide(&store, &key).await;

    assert_eq!(store.keys("u").await.unwrap(), []);
    assert_eq!(store.find(&key, None).await.unwrap(), None);
    assert_eq!(store.hidden("u").await.unwrap(), std::slice::from_ref(&key));
    assert_eq!(store.hidden("v").await.unwrap(), []);
    let versions: Vec<_> = store.versions("u").try_collect().await.unwrap();
    assert_eq!(versions.len(), 2, "{versions:?}");
    let marker = versions.iter().find(|one| one.deletes).unwrap();
    assert!(marker.latest);
    let written = versions.iter().find(|one| !one.deletes).unwrap();
    assert!(!written.latest);
    assert_eq!(written.id, first);

    let found = store.find(&key, first.as_deref()).await.unwrap();
    assert_eq!(found.unwrap().bytes, 3, "the version itself is still there");
    let bytes_of_marker = store.find(&key, marker.id.as_deref()).await.unwrap();
    assert_eq!(bytes_of_marker, None, "a delete marker has no bytes");
}

#[tokio::test]
async fn an_object_that_is_written_again_after_a_delete_marker_is_not_hidden() {
    let store = s3_store();
    let key = key("u.json");
    put(&store, &key, "one").await;
    hide(&store, &key).await;
    put(&store, &key, "two").await;

    assert_eq!(store.hidden("u").await.unwrap(), []);
    assert_eq!(store.keys("u").await.unwrap(), std::slice::from_ref(&key));
    let read = store.read(&key, 10).await.unwrap();
    assert_eq!(read.unwrap(), "two");
    let versions: Vec<_> = store.versions("u").try_collect().await.unwrap();
    assert_eq!(versions.len(), 3);
}

#[tokio::test]
async fn what_is_shown_and_what_is_hidden_is_the_same_by_one_listing_as_by_two() {
    let store = s3_store();
    let names = ["u.1.json", "u.2.json", "u.3.json", "v.json"];
    for name in names {
        put(&store, &key(name), "one").await;
    }
    hide(&store, &key("u.1.json")).await;
    hide(&store, &key("u.2.json")).await;
    put(&store, &key("u.2.json"), "two").await;

    let by_two = store.shown_and_hidden("u.").await.unwrap();
    assert_eq!(by_two.0, [key("u.2.json"), key("u.3.json")]);
    assert_eq!(by_two.1, [key("u.1.json")]);
    assert_eq!(store.lists_all_versions(), None, "nothing is known before");
    store.probe().await.unwrap();
    assert_eq!(store.lists_all_versions(), Some(true));
    assert_eq!(store.shown_and_hidden("u.").await.unwrap(), by_two);
}

#[tokio::test]
async fn with_a_retention_objects_and_objects_of_parts_are_locked() {
    let day = Duration::from_hours(24);
    let store = s3_store().with_retention(Retention {
        mode: RetentionMode::Governance,
        period: day,
    });
    assert!(store.keeps_locks().await.unwrap());
    assert!(store.keeps_versions().await.unwrap());

    let dates = crate::ports::DateRange {
        from: Timestamp::UNIX_EPOCH,
        to: Timestamp::UNIX_EPOCH,
    };
    let body = Bytes::from_static(b"one");
    let whole = key("whole.json");
    let put = store.put_once(&whole, body.clone(), None).await.unwrap();
    let of_parts = key("parts.json");
    let upload = store.begin(&of_parts, &dates).await.unwrap();
    let part = store.put_part(&of_parts, &upload, 1, 0, body).await;
    let completed = store.complete(&of_parts, &upload, &[part.unwrap()]).await;

    for (key, stored) in [(whole, put), (of_parts, completed.unwrap())] {
        let PutOnce::Stored(stored) = stored else {
            panic!("it was not there");
        };
        let found = store.find(&key, None).await.unwrap().unwrap();
        let mark = found.retention.clone().unwrap();
        assert_eq!(stored.retention, found.retention, "{key:?}");
        assert_eq!(mark.mode, "GOVERNANCE");
        let left = mark.retain_until.duration_since(Clock::system().now());
        assert!(
            left > SignedDuration::from_hours(23) && left <= SignedDuration::from_hours(24),
            "{left:?}"
        );
    }
    store.probe().await.unwrap();
}

#[tokio::test]
async fn what_the_probe_says_of_checksums_is_what_the_store_does() {
    let store = s3_store();
    assert!(!store.refuses_wrong_checksums(), "nothing is known before");
    store.probe().await.unwrap();

    let key = key("u.json");
    let wrong = store
        .put(&key, Bytes::from_static(b"one"))
        .checksum_crc32_c(crc32c(b"two"));
    let is_refused = wrong.send().await.is_err();
    assert_eq!(store.refuses_wrong_checksums(), is_refused);
}

#[tokio::test]
async fn the_answer_of_a_write_says_of_the_bytes_what_a_read_says() {
    let store = s3_store();
    let key = key("u.json");
    let body = Bytes::from_static(b"one");
    let PutOnce::Stored(stored) = store.put_once(&key, body.clone(), None).await.unwrap() else {
        panic!("it was not there");
    };
    let found = store.find(&key, None).await.unwrap().unwrap();
    let proof = stored.proof.expect("tag and checksum");
    assert_eq!(proof.crc32c, crc32c(&body));
    assert_eq!(
        (Some(proof.etag), Some(proof.crc32c)),
        (found.etag, found.crc32c)
    );
    assert_eq!(stored.version_id, found.version_id);
}

#[tokio::test]
async fn the_checksum_that_the_store_returns_is_that_of_the_bytes() {
    let store = s3_store();
    let key = key("u.json");
    put(&store, &key, "one").await;
    let found = store.find(&key, None).await.unwrap().unwrap();
    if let Some(returned) = found.crc32c {
        assert_eq!(returned, crc32c(b"one"));
    }
}

#[tokio::test]
async fn a_bucket_that_is_not_there_is_reported_as_missing() {
    let server = servers::s3();
    let store = S3Store::new(
        s3_client(&server),
        None,
        "no-such-bucket",
        "",
        None,
        Clock::system(),
    );
    let failure = store.put_once(&key("u"), Bytes::new(), None).await;
    assert_eq!(failure.unwrap_err().code, Code::ArchiveMissing);
}

#[tokio::test]
async fn wrong_credentials_are_reported_as_denied() {
    let server = servers::S3Server {
        secret_key: "wrong".to_owned(),
        ..servers::s3()
    };
    let store = S3Store::new(
        s3_client(&server),
        None,
        &server.bucket,
        "",
        None,
        Clock::system(),
    );
    let failure = store.read(&key("u"), 10).await.unwrap_err();
    assert_eq!(failure.code, Code::ArchiveDenied);
}
