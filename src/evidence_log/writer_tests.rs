//! The log over a directory: two writers, every crash, and what others put between.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use sha2::{Digest as _, Sha256};

use super::announcement::Announcement;
use super::leaf::{Found, Written};
use super::signers::Signers;
use super::step::{self, key};
use super::tree::Frontier;
use super::{AnnouncingStore, Writer, log_flow};
use crate::adapters::directory::DirectoryStore;
use crate::clock::Clock;
use crate::failure::Failure;
use crate::integrity::Integrity;
use crate::ports::{ArchiveStore, ObjectKey};
use crate::secret::Secret;
use crate::signed_note::{SigningKey, SigningKeys};

const PRIVATE_KEY: &str =
    "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz";
const ID: &str = "3f1f0d4e-9a51-4b4b-8f6c-1f9a4f9b7c11";

pub(super) fn signer() -> SigningKey {
    PRIVATE_KEY.parse().unwrap()
}

pub(super) struct Log {
    directory: tempfile::TempDir,
    pub(super) clock: Clock,
}

impl Log {
    pub(super) fn new() -> Self {
        Self {
            directory: tempfile::tempdir().unwrap(),
            clock: Clock::starting_at(Clock::system().now()),
        }
    }

    pub(super) fn plain(&self) -> DirectoryStore {
        let key = Secret::new("a key of thirty-two characters ..");
        DirectoryStore::open(self.directory.path())
            .unwrap()
            .with_integrity(Integrity::new(Some(&key)))
    }

    pub(super) fn store(&self) -> Arc<dyn ArchiveStore> {
        Arc::new(AnnouncingStore::new(
            Arc::new(self.plain()),
            self.clock.clone(),
        ))
    }

    pub(super) fn writer(&self, by: &str) -> Writer {
        self.writer_with(signer().into(), by)
    }

    pub(super) fn writer_with(&self, keys: SigningKeys, by: &str) -> Writer {
        self.writer_of(keys.into(), by)
    }

    pub(super) fn writer_of(&self, signers: Signers, by: &str) -> Writer {
        Writer::new(self.store(), signers, self.clock.clone(), by.to_owned())
    }

    pub(super) async fn put(&self, name: &str, body: &'static str) {
        let body = Bytes::from_static(body.as_bytes());
        self.store()
            .put_once(&object(name), body, None)
            .await
            .unwrap();
    }

    /// Later, so that the next step is due.
    pub(super) fn wait(&self, minutes: i64) {
        self.clock.jump(SignedDuration::from_mins(minutes));
    }

    pub(super) async fn write(&self, writer: &mut Writer) -> usize {
        self.wait(2);
        writer.write().await.unwrap()
    }

    /// All records, after each step was checked from the first on.
    async fn records(&self) -> Vec<Written> {
        let store = self.store();
        let mut tree = Frontier::default();
        let mut records = Vec::new();
        for number in 1..=step::last(&*store, 0).await.unwrap() {
            let stored = step::read(&*store, number).await.unwrap();
            let read = stored.and_then(|stored| stored.open(signer().verifier()));
            let Some(read) = read else {
                continue;
            };
            let added = read.after(&tree).expect("a step that follows");
            assert_eq!(added.heading.number, number);
            tree = read.tree;
            records.extend(added.records);
        }
        records
    }

    pub(super) async fn logged(&self) -> Vec<(String, Found)> {
        let records = self.records().await.into_iter();
        let mut logged: Vec<_> = records
            .map(|record| (record.key.as_str().to_owned(), record.found))
            .collect();
        logged.sort_by(|one, other| one.0.cmp(&other.0));
        logged
    }

    pub(super) fn path(&self, name: &str) -> std::path::PathBuf {
        Path::new(self.directory.path()).join(name)
    }
}

pub(super) fn object(name: &str) -> ObjectKey {
    ObjectKey(name.to_owned())
}

pub(super) fn same(names: &[&str]) -> Vec<(String, Found)> {
    let one = |name: &&str| ((*name).to_owned(), Found::Same);
    names.iter().map(one).collect()
}

#[tokio::test]
async fn each_record_comes_into_the_log_once_and_nothing_else_does() {
    let log = Log::new();
    let mut writer = log.writer("w-1");
    assert_eq!(log.write(&mut writer).await, 0, "nothing is written down");
    assert!(!log.path("_log_step_1.json").exists());

    let manifest = format!("{ID}_audit.json");
    log.put(&manifest, "{}").await;
    log.put(&format!("{ID}_sealed.json"), "{}").await;
    log.put("_pause.1.json", "{}").await;
    assert_eq!(log.write(&mut writer).await, 2);
    assert_eq!(log.write(&mut writer).await, 0);
    log.put("_act_1.json", "{}").await;
    assert_eq!(log.write(&mut writer).await, 1);

    assert_eq!(
        log.logged().await,
        same(&[&manifest, "_act_1.json", "_pause.1.json"])
    );
    let sha256 = hex::encode(Sha256::digest("{}"));
    assert!(log.records().await.iter().all(|one| one.sha256 == sha256));
}

#[tokio::test]
async fn a_step_is_made_once_a_minute_over_all_writers() {
    let log = Log::new();
    let mut one = log.writer("w-1");
    let mut other = log.writer("w-2");
    log.put("_act_1.json", "{}").await;
    assert_eq!(log.write(&mut one).await, 1);
    log.put("_act_2.json", "{}").await;
    assert_eq!(one.write().await.unwrap(), 0);
    assert_eq!(other.write().await.unwrap(), 0);
    assert_eq!(log.write(&mut other).await, 1);
    assert_eq!(one.write().await.unwrap(), 0);
}

#[tokio::test]
async fn two_writers_that_write_at_once_make_one_history() {
    let log = Log::new();
    for round in 0..10 {
        log.put(&format!("_act_{round}.json"), "{}").await;
        log.wait(2);
        let mut writers = [log.writer("w-1"), log.writer("w-2"), log.writer("w-3")];
        let written = futures_util::future::join_all(writers.iter_mut().map(Writer::write)).await;
        let written: Vec<usize> = written.into_iter().map(Result::unwrap).collect();
        assert_eq!(written.iter().sum::<usize>(), 1, "{round}: {written:?}");
    }
    assert_eq!(log.logged().await.len(), 10);
}

#[tokio::test]
async fn a_writer_that_starts_again_continues_where_the_last_one_died() {
    let log = Log::new();
    for round in 0..100 {
        log.put(&format!("_act_{round:02}.json"), "{}").await;
        // As long as 50 hours: it reads the last steps only.
        log.wait(30);
        assert_eq!(log.writer("w").write().await.unwrap(), 1, "{round}");
    }
    assert_eq!(log.logged().await.len(), 100);
}

#[tokio::test]
async fn a_late_announcement_still_comes_into_the_log_and_one_without_its_object_is_named() {
    let log = Log::new();
    let mut writer = log.writer("w");
    let late = Announcement::new(&object("_act_late.json"), b"{}", log.clock.now());
    log.put("_act_1.json", "{}").await;
    assert_eq!(log.write(&mut writer).await, 1);
    // Made before the step, and visible after it. Its process died before it wrote the object.
    let plain = log.plain();
    let name = late.object_key(plain.integrity());
    plain.put_once(&name, Bytes::new(), None).await.unwrap();
    assert_eq!(log.write(&mut writer).await, 0, "the object may still come");
    log.wait(5);
    assert_eq!(log.write(&mut writer).await, 1);
    let logged = log.logged().await;
    assert_eq!(logged[1], ("_act_late.json".to_owned(), Found::Nothing));
}

#[tokio::test]
async fn no_record_is_stored_whose_announcement_is_not() {
    let log = Log::new();
    // The name of its announcement is too long for a file.
    let key = object(&format!("_act_{}.json", "a".repeat(200)));
    let refused = log.store().put_once(&key, Bytes::new(), None).await;
    refused.unwrap_err();
    assert!(!log.path(key.as_str()).exists());
}

#[tokio::test]
async fn an_object_that_was_changed_before_its_step_is_named() {
    let log = Log::new();
    log.put("_pause.1.json", "ours").await;
    std::fs::write(log.path("_pause.1.json"), "theirs").unwrap();
    assert_eq!(log.write(&mut log.writer("w")).await, 1);
    let records = log.records().await;
    assert_eq!(records[0].found, Found::Other);
    assert_eq!(records[0].sha256, hex::encode(Sha256::digest("ours")));
}

#[tokio::test]
async fn who_may_only_write_to_the_bucket_adds_nothing_to_the_log() {
    let log = Log::new();
    let forged = format!("{ID}_audit.json");
    std::fs::write(log.path(&forged), "{}").unwrap();
    let announcement = Announcement::new(&object(&forged), b"{}", log.clock.now());
    for name in [
        announcement.object_key(&Integrity::default()),
        announcement.object_key(&Integrity::new(Some(&Secret::new(&"x".repeat(32))))),
    ] {
        std::fs::write(log.path(name.as_str()), "").unwrap();
    }
    let stranger = SigningKey::generate("PeterNeumann".parse().unwrap()).unwrap();
    let mut strangers = log.writer_with(stranger.into(), "x");
    log.put("_act_1.json", "{}").await;
    assert_eq!(log.write(&mut strangers).await, 1);
    std::fs::write(log.path("_log_step_2.json"), "no step").unwrap();

    // Their numbers are lost, and nothing else.
    assert_eq!(log.write(&mut log.writer("w")).await, 1);
    assert_eq!(log.write(&mut log.writer("w")).await, 0);
    assert_eq!(log.logged().await, same(&["_act_1.json"]));
    assert!(log.path("_log_step_3.json").exists());
}

#[tokio::test]
async fn a_log_whose_last_step_was_changed_is_not_continued() {
    let log = Log::new();
    for number in 1..=2 {
        log.put(&format!("_act_{number}.json"), "{}").await;
        assert_eq!(log.write(&mut log.writer("w")).await, 1);
    }
    let path = log.path(key(2).as_str());
    let step = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, step.replace("_act_2", "_act_3")).unwrap();
    log.wait(2);
    let refused: Failure = log.writer("w").write().await.unwrap_err();
    assert!(refused.text.contains("_log_step_2.json"), "{refused}");
    assert!(!log.path("_log_step_3.json").exists());
}

#[tokio::test]
async fn the_last_number_is_found_whatever_it_is() {
    let log = Log::new();
    for last in 0..40 {
        let store = log.plain();
        for known in 0..=last {
            assert_eq!(step::last(&store, known).await.unwrap(), last, "{known}");
        }
        std::fs::write(log.path(key(last + 1).as_str()), "").unwrap();
    }
}

#[tokio::test]
async fn records_that_no_worker_writes_down_are_seen_to_wait() {
    let log = Log::new();
    let flow = async || log_flow(&*log.store(), log.clock.now()).await.unwrap();
    assert_eq!(flow().await.last, None);
    log.put("_act_1.json", "{}").await;
    let first = log.clock.now();
    assert_eq!(flow().await.waiting, 0, "it is young");
    log.wait(6);
    let waits = flow().await;
    assert_eq!((waits.last, waits.waiting), (None, 1));
    assert_eq!(
        waits.since.map(Timestamp::as_second),
        Some(first.as_second())
    );
    assert_eq!(log.write(&mut log.writer("w")).await, 1);
    let written = flow().await;
    assert_eq!(
        (written.last.map(|last| last.0), written.waiting),
        (Some(1), 0)
    );
}
