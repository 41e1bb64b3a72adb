use std::path::{Path, PathBuf};

use super::*;
use crate::adapters::directory::DirectoryStore;
use crate::integrity::Integrity;
use crate::secret::Secret;

fn user(number: u32) -> UserId {
    let text = format!("{number:08x}-9a51-4b4b-8f6c-1f9a4f9b7c11");
    text.parse().unwrap()
}

/// A store with a key, and one without.
fn stores(directory: &Path) -> [DirectoryStore; 2] {
    let key = Integrity::new(Some(&Secret::new(&"k".repeat(32))));
    let open = || DirectoryStore::open(directory).unwrap();
    [open().with_integrity(key), open()]
}

/// An order of one user.
async fn placed(store: &DirectoryStore, user_id: UserId) -> OrderName {
    let users = vec![user_id];
    store_part(store, &Order::sample(1), 1, users, PartRequests::default())
        .await
        .unwrap()
}

fn path(directory: &Path, name: &OrderName) -> PathBuf {
    directory.join(format!("_order_{name}.json"))
}

/// What a worker that has read nothing yet says.
async fn fault(store: &DirectoryStore, name: &OrderName, user_id: UserId) -> Option<String> {
    let checked = Orders::default().check(store, name, user_id).await;
    checked.err().map(|failure| {
        let expected = Class::Permanent(Reason::ProtectedUser);
        assert_eq!((failure.class, failure.code), (expected, Code::NotInOrder));
        failure.text
    })
}

#[tokio::test]
async fn an_order_names_its_users_and_nobody_else() {
    let directory = tempfile::tempdir().unwrap();
    for store in stores(directory.path()) {
        let users = vec![user(7), user(3), user(9)];
        let name = store_part(&store, &Order::sample(3), 1, users, PartRequests::default())
            .await
            .unwrap();
        for number in [3, 7, 9] {
            assert_eq!(fault(&store, &name, user(number)).await, None, "{number}");
        }
        let text = fault(&store, &name, user(4)).await.unwrap();
        assert!(text.contains("does not name this user"), "{text}");
    }
}

#[tokio::test]
async fn an_order_that_is_absent_or_was_changed_names_nobody() {
    let directory = tempfile::tempdir().unwrap();
    for store in stores(directory.path()) {
        let name = placed(&store, user(1)).await;
        let path = path(directory.path(), &name);
        let stored = std::fs::read_to_string(&path).unwrap();
        let changed = stored.replace(&user(1).to_string(), &user(2).to_string());
        assert_ne!(stored, changed);
        std::fs::write(&path, changed).unwrap();
        for number in [1, 2] {
            let text = fault(&store, &name, user(number)).await.unwrap();
            assert!(text.contains("was changed"), "{text}");
        }

        std::fs::write(&path, vec![b' '; PARTS.max_bytes + 1]).unwrap();
        let text = fault(&store, &name, user(1)).await.unwrap();
        assert!(text.contains("too large"), "{text}");
        std::fs::remove_file(&path).unwrap();
        let text = fault(&store, &name, user(1)).await.unwrap();
        assert!(text.contains("is not there"), "{text}");
    }
}

#[tokio::test]
async fn with_a_key_an_order_of_a_stranger_names_nobody() {
    let directory = tempfile::tempdir().unwrap();
    let [ours, strangers] = stores(directory.path());
    let name = placed(&strangers, user(1)).await;
    let text = fault(&ours, &name, user(1)).await.unwrap();
    assert!(text.contains("no valid integrity code"), "{text}");
}

#[tokio::test]
async fn a_part_is_read_once_and_few_parts_are_kept() {
    let directory = tempfile::tempdir().unwrap();
    let [store, _] = stores(directory.path());
    let orders = Orders::default();
    let mut names = Vec::new();
    for number in 0..=u32::try_from(PARTS_KEPT).unwrap() {
        names.push(placed(&store, user(number)).await);
    }
    orders.check(&store, &names[0], user(0)).await.unwrap();
    std::fs::remove_file(path(directory.path(), &names[0])).unwrap();
    orders.check(&store, &names[0], user(0)).await.unwrap();

    for (number, name) in (0_u32..).zip(&names).skip(1) {
        orders.check(&store, name, user(number)).await.unwrap();
    }
    assert_eq!(orders.parts.len(), PARTS_KEPT);
    assert!(orders.check(&store, &names[0], user(0)).await.is_err());
}
