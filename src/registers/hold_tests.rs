//! Holds that are set, lifted, forged or removed.

use super::*;
use crate::adapters::directory::DirectoryStore;
use crate::clock::Clock;
use crate::integrity::Integrity;
use crate::secret::Secret;

const ID: &str = "3f1f0d4e-9a51-4b4b-8f6c-1f9a4f9b7c11";
const LIFTED: &str = r#"{"held":false,"who":"eve","at":"2026-01-01T00:00:00Z"}"#;

fn user() -> UserId {
    ID.parse().unwrap()
}

async fn set(store: &DirectoryStore, user_id: UserId, held: bool) -> u32 {
    let recorded = Recorded::in_a_test("legal", Some("case 4711"));
    set_hold(store, user_id, held, &recorded, Clock::system().now())
        .await
        .unwrap()
}

fn store(directory: &std::path::Path, key: Option<&str>) -> DirectoryStore {
    let integrity = Integrity::new(key.map(Secret::new).as_ref());
    DirectoryStore::open(directory)
        .unwrap()
        .with_integrity(integrity)
}

fn with_key(directory: &std::path::Path) -> DirectoryStore {
    store(directory, Some("a key of thirty-two characters .."))
}

async fn held_by(store: &DirectoryStore) -> Option<String> {
    hold_of(store, user()).await.unwrap().map(|hold| hold.who)
}

#[tokio::test]
async fn a_user_is_on_hold_until_the_hold_is_lifted_with_a_key_and_without() {
    for key in [None, Some("a key of thirty-two characters ..")] {
        let directory = tempfile::tempdir().unwrap();
        let store = store(directory.path(), key);
        assert_eq!(held_by(&store).await, None);
        assert_eq!(set(&store, user(), true).await, 1);
        assert_eq!(held_by(&store).await.as_deref(), Some("legal"));
        assert_eq!(set(&store, user(), false).await, 2);
        assert_eq!(held_by(&store).await, None);
        assert_eq!(set(&store, user(), true).await, 3);
        assert_eq!(held_by(&store).await.as_deref(), Some("legal"));
    }
}

#[tokio::test]
async fn an_object_that_we_did_not_write_never_lifts_a_hold_and_counts_as_one() {
    for (name, body) in [
        ("2.json", LIFTED),
        ("3.json", LIFTED),
        ("4294967295.json", LIFTED),
        ("4294967296.json", LIFTED),
        ("x.json", LIFTED),
        ("2.json", "{"),
    ] {
        for on_hold in [true, false] {
            let directory = tempfile::tempdir().unwrap();
            let store = with_key(directory.path());
            set(&store, user(), on_hold).await;
            std::fs::write(directory.path().join(format!("_hold_{ID}.{name}")), body).unwrap();
            assert_eq!(
                held_by(&store).await.as_deref(),
                Some("unknown"),
                "{name}, {on_hold}"
            );
            // An operator who has the key checks it and decides; the odd object is ignored from
            // then on.
            set(&store, user(), true).await;
            assert_eq!(held_by(&store).await.as_deref(), Some("legal"), "{name}");
            set(&store, user(), false).await;
            assert_eq!(held_by(&store).await, None, "{name}");
        }
    }
}

#[tokio::test]
async fn a_hold_whose_record_vanished_still_counts() {
    let directory = tempfile::tempdir().unwrap();
    let store = with_key(directory.path());
    for held in [true, false, true] {
        set(&store, user(), held).await;
    }
    let vanish = |number: u32| {
        std::fs::remove_file(directory.path().join(format!("_hold_{ID}.{number}.json"))).unwrap();
    };
    vanish(1);
    assert_eq!(
        held_by(&store).await.as_deref(),
        Some("unknown"),
        "a number is missing"
    );
    vanish(3);
    vanish(2);
    assert_eq!(held_by(&store).await, None, "no record is left");
    let hold = hold_of_noted(&store, user(), 3).await.unwrap();
    assert!(
        hold.unwrap().why.unwrap().contains("3 hold records"),
        "the note is still there"
    );
    assert_eq!(hold_of_noted(&store, user(), 0).await.unwrap(), None);
}

#[tokio::test]
async fn the_list_of_all_holds_agrees_with_the_read_of_one() {
    let directory = tempfile::tempdir().unwrap();
    let other: UserId = "00000000-9a51-4b4b-8f6c-1f9a4f9b7c11".parse().unwrap();
    let lifted: UserId = "11111111-9a51-4b4b-8f6c-1f9a4f9b7c11".parse().unwrap();
    let store = with_key(directory.path());
    set(&store, user(), true).await;
    std::fs::write(
        directory.path().join(format!("_hold_{other}.7.json")),
        LIFTED,
    )
    .unwrap();
    std::fs::write(directory.path().join("_hold_nobody.1.json"), LIFTED).unwrap();
    for held in [true, false] {
        set(&store, lifted, held).await;
    }
    let store: Arc<dyn ArchiveStore> = Arc::new(store);
    let holds = HoldRecords::list(&*store)
        .await
        .unwrap()
        .holds(&store)
        .await
        .unwrap();
    let who: Vec<_> = holds
        .iter()
        .map(|(user_id, hold)| (*user_id, hold.who.as_str()))
        .collect();
    assert_eq!(who, [(other, "unknown"), (user(), "legal")]);
}
