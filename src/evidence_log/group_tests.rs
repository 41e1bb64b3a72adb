//! Announcements that are one object.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::join_all;
use uuid::Uuid;

use super::announcement::LATE;
use super::inbox::Inbox;
use super::leaf::Found;
use super::writer_tests::{Log, object, same};
use super::{AnnouncingStore, Writer, log_flow};
use crate::ports::ArchiveStore;

/// A process that writes these records at once, and its store.
async fn put_at_once(log: &Log, names: &[&str]) -> Arc<dyn ArchiveStore> {
    let store = AnnouncingStore::new(Arc::new(log.plain()), log.clock.clone()).collecting();
    let writes = names.iter().map(async |name| {
        store
            .put_once(&object(name), Bytes::from_static(b"{}"), None)
            .await
    });
    for written in join_all(writes).await {
        written.unwrap();
    }
    Arc::new(store)
}

fn groups(log: &Log) -> Vec<std::path::PathBuf> {
    let files = std::fs::read_dir(log.path("")).unwrap();
    let paths = files.map(|file| file.unwrap().path());
    paths
        .filter(|path| path.to_string_lossy().contains("group."))
        .collect()
}

#[tokio::test]
async fn records_of_a_moment_are_announced_by_one_object_and_all_come_into_the_log_once() {
    let log = Log::new();
    let store = put_at_once(&log, &["_act_1.json", "_act_2.json", "_act_3.json"]).await;
    let announced = groups(&log);
    assert_eq!(announced.len(), 1);
    assert!(announced[0].to_string_lossy().ends_with(".group.3"));
    assert_eq!(
        store.keys("_log_inbox_").await.unwrap().len(),
        1,
        "nothing is announced alone"
    );

    log.wait(6);
    let flow = log_flow(&*store, log.clock.now()).await.unwrap();
    assert_eq!(flow.waiting, 3);
    assert_eq!(log.write(&mut log.writer("w-1")).await, 3);
    for by in ["w-1", "w-2"] {
        assert_eq!(log.write(&mut log.writer(by)).await, 0, "{by}");
    }
    let all = same(&["_act_1.json", "_act_2.json", "_act_3.json"]);
    assert_eq!(log.logged().await, all);
}

#[tokio::test]
async fn a_group_of_which_all_is_in_the_log_is_not_read_each_minute() {
    let log = Log::new();
    let store = put_at_once(&log, &["_act_1.json", "_act_2.json"]).await;
    let mut inbox = Inbox::default();
    let now = log.clock.now();
    let from = now - LATE;
    let both = inbox.new_ones(&*store, from, now, |_| false).await.unwrap();
    assert_eq!((both.len(), inbox.known()), (2, 0));
    let is_logged = |id: &Uuid| both.iter().any(|one| one.id == *id);
    for _ in 0..2 {
        let none = inbox.new_ones(&*store, from, now, is_logged).await;
        assert_eq!((none.unwrap().len(), inbox.known()), (0, 1));
    }
    // No listing shows it any more.
    let later = now + LATE * 2;
    inbox
        .new_ones(&*store, later, later, is_logged)
        .await
        .unwrap();
    assert_eq!(inbox.known(), 0);
}

#[tokio::test]
async fn a_record_alone_is_announced_by_its_name() {
    let log = Log::new();
    let store = put_at_once(&log, &["_act_1.json"]).await;
    assert_eq!(groups(&log).len(), 0);
    assert_eq!(store.keys("_log_inbox_").await.unwrap().len(), 1);
    assert_eq!(log.write(&mut log.writer("w")).await, 1);
}

#[tokio::test]
async fn of_a_group_only_what_is_stored_comes_into_the_log_and_the_rest_later() {
    let log = Log::new();
    put_at_once(&log, &["_act_1.json", "_act_2.json"]).await;
    let stored = std::fs::read(log.path("_act_2.json")).unwrap();
    std::fs::remove_file(log.path("_act_2.json")).unwrap();
    let mut writer = log.writer("w");
    assert_eq!(log.write(&mut writer).await, 1, "the other may still come");
    std::fs::write(log.path("_act_2.json"), stored).unwrap();
    assert_eq!(log.write(&mut writer).await, 1);
    assert_eq!(log.logged().await, same(&["_act_1.json", "_act_2.json"]));
}

#[tokio::test]
async fn a_group_that_was_changed_adds_nothing() {
    let log = Log::new();
    put_at_once(&log, &["_act_1.json", "_act_2.json"]).await;
    let group = groups(&log).remove(0);
    let body = std::fs::read_to_string(&group).unwrap();
    std::fs::write(&group, body.replace("_act_2", "_act_3")).unwrap();
    std::fs::write(log.path("_act_3.json"), "{}").unwrap();
    assert_eq!(log.write(&mut log.writer("w")).await, 0);
    std::fs::write(&group, body.repeat(10_000)).unwrap();
    assert_eq!(log.write(&mut log.writer("w")).await, 0);
    std::fs::write(&group, &body).unwrap();
    assert_eq!(log.write(&mut log.writer("w")).await, 2);
}

#[tokio::test]
async fn what_this_process_stored_itself_is_not_read_again() {
    let log = Log::new();
    let store = put_at_once(&log, &["_act_1.json", "_act_2.json"]).await;
    // Only a read can see this.
    std::fs::write(log.path("_act_1.json"), "theirs").unwrap();
    let keys = super::writer_tests::signer().into();
    let mut own = Writer::new(store, keys, log.clock.clone(), "w".to_owned());
    assert_eq!(log.write(&mut own).await, 2);
    assert_eq!(log.logged().await, same(&["_act_1.json", "_act_2.json"]));

    // Somebody else's record of that name was first.
    let log = Log::new();
    std::fs::write(log.path("_act_1.json"), "theirs").unwrap();
    let store = put_at_once(&log, &["_act_1.json"]).await;
    let keys = super::writer_tests::signer().into();
    let mut own = Writer::new(store, keys, log.clock.clone(), "w".to_owned());
    assert_eq!(log.write(&mut own).await, 1);
    assert_eq!(
        log.logged().await,
        [("_act_1.json".to_owned(), Found::Other)]
    );
}
