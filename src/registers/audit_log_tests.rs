use jiff::ToSpan as _;
use serde_json::json;

use super::*;
use crate::adapters::directory::DirectoryStore;
use crate::integrity::Integrity;
use crate::secret::Secret;

fn log(store: DirectoryStore) -> AuditLog {
    AuditLog::new(Arc::new(store), Clock::system())
}

fn entry(number: usize) -> AuditEntry {
    let operator = Operator {
        who: "ada@host".to_owned(),
        why: Some("case".to_owned()),
    };
    let change = Change {
        what: "hold add",
        count: number,
        details: json!({ "n": number }),
    };
    AuditEntry::new(Clock::system().now(), &operator, change)
}

#[tokio::test]
async fn entries_come_back_newest_first_within_the_limit_and_the_time() {
    let directory = tempfile::tempdir().unwrap();
    let log = log(DirectoryStore::open(directory.path()).unwrap());
    let entries: Vec<AuditEntry> = (0..20).map(entry).collect();
    for entry in &entries {
        log.write(entry).await.unwrap();
        // The response was lost: a second write changes nothing.
        log.write(entry).await.unwrap();
    }

    let newest_first: Vec<AuditEntry> = entries.iter().rev().cloned().collect();
    assert_eq!(log.list(None, 100).await.unwrap(), newest_first);
    assert_eq!(log.list(None, 3).await.unwrap(), newest_first[..3]);

    let future = Clock::system().now() + 1.hour();
    assert_eq!(log.list(Some(future), 100).await.unwrap(), []);
    let past = entries[0].at - 1.second();
    assert_eq!(log.list(Some(past), 100).await.unwrap().len(), 20);
}

#[tokio::test]
async fn a_recorded_change_is_in_the_log_with_the_time_of_the_clock() {
    let directory = tempfile::tempdir().unwrap();
    let store = DirectoryStore::open(directory.path()).unwrap();
    let start = Timestamp::from_second(1_000).unwrap();
    let log = AuditLog::new(Arc::new(store), Clock::starting_at(start));
    let operator = Operator {
        who: "ada@host".to_owned(),
        why: None,
    };
    let change = Change {
        what: "pause",
        count: 1,
        details: Value::Null,
    };

    let recorded = log.record(&operator, change).await.unwrap();

    let listed = log.list(None, 100).await.unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!(
        (listed[0].id, listed[0].what.as_str()),
        (recorded.id(), "pause")
    );
    assert!(listed[0].at.duration_since(start).as_secs() < 60);
    assert_eq!(recorded.operator(), &operator);
}

#[tokio::test]
async fn other_objects_are_no_entries_and_an_unreadable_entry_is_listed() {
    let directory = tempfile::tempdir().unwrap();
    let log = log(DirectoryStore::open(directory.path()).unwrap());
    let id = Uuid::now_v7();
    std::fs::write(directory.path().join(format!("_act_{id}.json")), "{").unwrap();
    std::fs::write(directory.path().join("_act_x.json"), "{}").unwrap();

    let listed = log.list(None, 100).await.unwrap();

    assert_eq!(listed.len(), 1);
    assert_eq!((listed[0].id, listed[0].what.as_str()), (id, "unreadable"));
    let age = Clock::system().now().duration_since(listed[0].at);
    assert!(age.as_secs() < 60, "{}", listed[0].at);
}

#[tokio::test]
async fn a_forged_entry_is_listed_without_what_it_claims() {
    let directory = tempfile::tempdir().unwrap();
    let integrity = Integrity::new(Some(&Secret::new(&"k".repeat(32))));
    let without_key = log(DirectoryStore::open(directory.path()).unwrap());
    without_key.write(&entry(1)).await.unwrap();
    let ours = DirectoryStore::open(directory.path())
        .unwrap()
        .with_integrity(integrity);
    let ours = log(ours);
    ours.write(&entry(2)).await.unwrap();

    let listed = ours.list(None, 100).await.unwrap();

    let shown: Vec<_> = listed
        .iter()
        .map(|entry| (entry.what.as_str(), entry.who.as_str()))
        .collect();
    assert_eq!(
        shown,
        [
            ("hold add", "ada@host"),
            ("no valid integrity code", "unknown")
        ]
    );
}
