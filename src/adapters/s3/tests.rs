//! The probe against an S3 that does one thing wrong.

use std::sync::OnceLock;

use bytes::Bytes;
use futures_util::TryStreamExt as _;

use super::faulty_s3::{Flaw, Shared, store};
use super::store::S3Store;
use crate::failure::{Code, Failure};
use crate::limits::{Retention, RetentionMode};
use crate::ports::{ArchiveStore as _, BucketHealth as _, ObjectKey, PutOnce, Version};

const DAY: Retention = Retention {
    mode: RetentionMode::Governance,
    period: std::time::Duration::from_hours(24),
};

#[tokio::test]
async fn a_store_without_a_fault_is_tested_fully_once_and_keeps_few_objects() {
    let (store, fake, _serving) = store(Flaw::None, Some(DAY)).await;
    assert!(
        !store.refuses_wrong_checksums(),
        "nothing is known before a probe"
    );
    store.probe().await.unwrap();
    assert!(store.refuses_wrong_checksums());
    let kept = |fake: &Shared| fake.lock().objects.keys().cloned().collect::<Vec<_>>();
    let names = [
        "p/_offboarder_probe",
        "p/_offboarder_probe_locked",
        "p/_offboarder_probe_parts",
    ];
    assert_eq!(kept(&fake), names);
    assert!(
        !fake.lock().objects["p/_offboarder_probe"].1,
        "only one object is locked"
    );
    assert!(fake.lock().uploads.is_empty(), "no upload is left");
    let whole = fake.lock().requests;
    store.probe().await.unwrap();
    let cheap = fake.lock().requests - whole;
    assert_eq!(cheap, 4, "PUT, PUT, GET, list; the first took {whole}");
    // Another process accepts the objects that it finds.
    let other = S3Store {
        refuses_wrong_checksums: OnceLock::new(),
        lists_all_versions: OnceLock::new(),
        ..store
    };
    other.probe().await.unwrap();
    assert!(other.refuses_wrong_checksums());
    assert_eq!(kept(&fake), names);
}

#[tokio::test]
async fn a_store_that_ignores_checksums_never_proves_anything() {
    for flaw in [Flaw::IgnoresChecksumOfObjects, Flaw::IgnoresChecksumOfParts] {
        let (store, _fake, _serving) = store(flaw, None).await;
        store.probe().await.unwrap();
        assert!(!store.refuses_wrong_checksums(), "{flaw:?}");
        let other = S3Store {
            refuses_wrong_checksums: OnceLock::new(),
            lists_all_versions: OnceLock::new(),
            ..store
        };
        other.probe().await.unwrap();
        assert!(
            !other.refuses_wrong_checksums(),
            "{flaw:?}, though the object exists by now"
        );
    }
}

/// A flaw, the retention that is set, the code of the failure, and words of its text.
const FLAWS: [(Flaw, Option<Retention>, Code, &str); 10] = [
    (
        Flaw::OverwritesWithPut,
        None,
        Code::ArchiveOverwrites,
        "ignores If-None-Match with a PUT",
    ),
    (
        Flaw::OverwritesAtCompletion,
        None,
        Code::ArchiveOverwrites,
        "Ceph's RGW",
    ),
    (
        Flaw::ListsNothing,
        None,
        Code::ArchiveUnfit,
        "does not list",
    ),
    (
        Flaw::KeepsNoLock,
        Some(DAY),
        Code::ArchiveUnfit,
        "shows no lock",
    ),
    (
        Flaw::RefusesCondition(501),
        None,
        Code::ArchiveRejected,
        "the header If-None-Match (NotImplemented: A header",
    ),
    (
        Flaw::RefusesCondition(400),
        None,
        Code::ArchiveRejected,
        "the header If-None-Match",
    ),
    (
        Flaw::RefusesChecksum(501),
        None,
        Code::ArchiveRejected,
        "the header x-amz-checksum-crc32c",
    ),
    (
        Flaw::RefusesChecksum(400),
        None,
        Code::ArchiveRejected,
        "the header x-amz-checksum-crc32c",
    ),
    (
        Flaw::RefusesConditionAtCompletion(501),
        None,
        Code::ArchiveRejected,
        "to complete s3://b/p/_offboarder_probe_parts",
    ),
    (
        Flaw::RefusesAll(400),
        None,
        Code::ArchiveRejected,
        "the region is wrong",
    ),
];

#[tokio::test]
async fn the_failure_says_what_a_store_does_wrong() {
    for (flaw, retention, code, names) in FLAWS {
        let (store, _fake, _serving) = store(flaw, retention).await;
        let Failure {
            code: found, text, ..
        } = store.probe().await.unwrap_err();
        assert_eq!(found, code, "{flaw:?}: {text}");
        assert!(text.contains(names), "{flaw:?}: {text}");
        assert_eq!(
            text.contains("the header"),
            matches!(code, Code::ArchiveRejected) && flaw != Flaw::RefusesAll(400)
        );
    }
}

#[tokio::test]
async fn a_document_that_reads_back_differently_is_found_when_it_is_stored() {
    let key = ObjectKey("seal.json".to_owned());
    let (store, fake, _serving) = store(Flaw::KeepsZeros, None).await;
    let failure = store
        .put_once(&key, Bytes::from_static(b"{}"), None)
        .await
        .unwrap_err();
    assert!(failure.text.contains("reads back differently"), "{failure}");
    fake.lock().flaw = Flaw::None;
    let stored = store
        .put_once(
            &ObjectKey("b.json".to_owned()),
            Bytes::from_static(b"{}"),
            None,
        )
        .await
        .unwrap();
    assert!(matches!(stored, PutOnce::Stored(_)));
}

#[tokio::test]
async fn a_kms_key_goes_with_every_write_and_a_store_that_ignores_or_refuses_it_is_found() {
    let (store, _fake, _serving) = store(Flaw::None, None).await;
    store.with_kms_key("alias/k").probe().await.unwrap();

    for (flaw, code, says) in [
        (
            Flaw::IgnoresKmsKey,
            Code::ArchiveUnfit,
            "does not say that it encrypts",
        ),
        (
            Flaw::RefusesKmsKey,
            Code::ArchiveDenied,
            "check OFFBOARDER_ARCHIVE_KMS_KEY",
        ),
    ] {
        let (store, fake, _serving) = super::faulty_s3::store(flaw, None).await;
        let store = store.with_kms_key("alias/k");
        let failure = store.probe().await.unwrap_err();
        assert_eq!(failure.code, code, "{failure}");
        assert!(failure.text.contains(says), "{failure}");
        assert!(fake.lock().uploads.is_empty(), "no upload is left behind");

        // The objects of the probe are there from a time without the key.
        fake.lock().flaw = Flaw::None;
        store.probe().await.unwrap();
        fake.lock().flaw = flaw;
        let again = S3Store {
            refuses_wrong_checksums: OnceLock::new(),
            lists_all_versions: OnceLock::new(),
            ..store
        };
        let failure = again.probe().await.unwrap_err();
        assert_eq!(failure.code, code, "{failure}");
        assert!(fake.lock().uploads.is_empty(), "no upload is left behind");
    }
}

#[tokio::test]
async fn a_store_that_lists_no_versions_shows_what_a_read_finds_and_says_so() {
    let (store, fake, _serving) = store(Flaw::ListsNoVersions, None).await;
    store.probe().await.unwrap();
    assert!(!store.lists_versions().await.unwrap());
    assert_eq!(store.hidden("").await.unwrap(), []);
    let body = Bytes::from_static(b"{}");
    let key = ObjectKey("u.json".to_owned());
    store.put_once(&key, body, None).await.unwrap();

    let listed: Vec<_> = store.versions("u").try_collect().await.unwrap();
    let newest = Version {
        key,
        id: None,
        deletes: false,
        latest: true,
        older_unknown: true,
        modified: listed.first().and_then(|one| one.modified),
    };
    assert_eq!(listed, [newest]);
    assert!(listed[0].modified.is_some());
    fake.lock().flaw = Flaw::None;
    assert!(store.lists_versions().await.unwrap());
    fake.lock().flaw = Flaw::RefusesAll(400);
    let refused: Result<Vec<_>, _> = store.versions("u").try_collect().await;
    refused.expect_err("another refusal is none of these");
}

/// A delete marker there might hide a hold.
#[tokio::test]
async fn a_store_that_keeps_versions_and_lists_none_is_refused() {
    for status in ["Enabled", "Suspended"] {
        let (store, _fake, _serving) = store(Flaw::HidesVersions(status), None).await;
        let failure = store.probe().await.unwrap_err();
        assert_eq!(failure.code, Code::ArchiveUnfit, "{failure}");
    }
}
