//! How orders are numbered and read, and what puts them in doubt.

use super::*;
use crate::adapters::directory::DirectoryStore;
use crate::clock::Clock;
use crate::integrity::Integrity;
use crate::job::Request;
use crate::secret::Secret;

struct Scene {
    directory: tempfile::TempDir,
    ours: DirectoryStore,
    register: StopRegister,
}

fn scene() -> Scene {
    let directory = tempfile::tempdir().unwrap();
    let integrity = Integrity::new(Some(&Secret::new(&"k".repeat(32))));
    let ours = DirectoryStore::open(directory.path())
        .unwrap()
        .with_integrity(integrity);
    Scene {
        directory,
        ours,
        register: StopRegister::default(),
    }
}

fn user(number: usize) -> UserId {
    format!("{number:08x}-9a51-4b4b-8f6c-1f9a4f9b7c11")
        .parse()
        .unwrap()
}

impl Scene {
    async fn order(&self, act: StopAct) {
        let recorded = Recorded::in_a_test("ada", Some("a wrong list"));
        give_order(&self.ours, act, &recorded, Clock::system().now())
            .await
            .unwrap();
    }

    async fn cancel(&self, users: &[UserId]) {
        for act in in_orders(users) {
            self.order(act).await;
        }
    }

    async fn is_cancelled(&self, number: usize) -> bool {
        let orders = self.register.fresh(&self.ours).await.unwrap();
        let now = Clock::system().now();
        let cancelled = orders.cancelled(user(number), &Request::default(), now);
        cancelled.is_some()
    }

    async fn doubt(&self) -> Option<String> {
        let orders = self.register.fresh(&self.ours).await.unwrap();
        orders.doubt().map(str::to_owned)
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.directory.path().join(format!("{PREFIX}{name}"))
    }

    /// What an operator does who resumes.
    async fn pass_over(&self) {
        let objects = odd_orders(&self.ours).await.unwrap();
        self.order(StopAct::PassOver { objects }).await;
    }
}

#[tokio::test]
async fn every_order_counts_and_many_users_are_few_objects() {
    let scene = scene();
    assert!(!scene.is_cancelled(1).await);
    let many: Vec<UserId> = (0..=USERS_IN_ONE).map(user).collect();
    scene.cancel(&many).await;
    scene.cancel(&[user(99_999)]).await;

    for number in [0, USERS_IN_ONE, 99_999] {
        assert!(scene.is_cancelled(number).await, "{number}");
    }
    assert!(!scene.is_cancelled(88_888).await);
    let stored = std::fs::read_dir(scene.directory.path()).unwrap().count();
    assert_eq!(stored, 3);
    assert_eq!(scene.doubt().await, None);
}

#[tokio::test]
async fn an_order_of_a_stranger_stops_all_users_until_an_operator_passes_over_it() {
    for name in ["1.json", "7.json", "4294967295.json", "x.json"] {
        let scene = scene();
        let forged =
            r#"{"act":{"what":"pass_over","objects":[]},"who":"eve","at":"2026-01-01T00:00:00Z"}"#;
        std::fs::write(scene.path(name), forged).unwrap();
        assert!(scene.doubt().await.is_some(), "{name}");

        // A cancellation is stored all the same, and does not end the doubt by itself.
        scene.cancel(&[user(1)]).await;
        assert!(scene.is_cancelled(1).await, "{name}");
        assert!(scene.doubt().await.is_some(), "{name}");
        scene.pass_over().await;
        assert_eq!(scene.doubt().await, None, "{name}");
        assert!(scene.is_cancelled(1).await, "{name}");
        scene.cancel(&[user(2)]).await;
        assert!(scene.is_cancelled(2).await, "{name}");
        assert_eq!(scene.doubt().await, None, "{name}");
    }
}

#[tokio::test]
async fn an_order_that_vanished_puts_all_in_doubt_and_the_next_one_does_not_take_its_place() {
    let scene = scene();
    for number in 1..=3 {
        scene.cancel(&[user(number)]).await;
    }
    assert_eq!(scene.doubt().await, None);
    for gone in ["2.json", "3.json"] {
        let path = scene.path(gone);
        let kept = std::fs::read(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        let doubt = scene.doubt().await.unwrap();
        assert!(doubt.contains(gone) && doubt.contains("missing"), "{doubt}");
        assert!(
            scene.is_cancelled(2).await,
            "what was read once still counts"
        );
        std::fs::write(&path, kept).unwrap();
        assert_eq!(scene.doubt().await, None);
    }

    std::fs::remove_file(scene.path("2.json")).unwrap();
    scene.cancel(&[user(4)]).await;
    assert!(scene.path("4.json").exists() && !scene.path("2.json").exists());
    assert!(scene.doubt().await.is_some());
}

#[tokio::test]
async fn a_damaged_order_is_in_doubt_and_the_others_count() {
    let scene = scene();
    scene.cancel(&[user(1)]).await;
    scene.cancel(&[user(2)]).await;
    let path = scene.path("1.json");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("00000001", "00000009")).unwrap();
    let doubt = scene.doubt().await.unwrap();
    assert!(
        doubt.contains("1.json") && doubt.contains("integrity"),
        "{doubt}"
    );
    assert!(scene.is_cancelled(2).await);
    assert!(!scene.is_cancelled(9).await);

    std::fs::write(&path, " ".repeat(MAX_ORDER_BYTES + 1)).unwrap();
    assert!(scene.doubt().await.unwrap().contains("too large"));
    std::fs::write(&path, text).unwrap();
    assert_eq!(scene.doubt().await, None, "it can be read again");
}

#[tokio::test(start_paused = true)]
async fn a_recent_answer_is_at_most_two_seconds_old_and_a_fresh_one_is_not_old() {
    let scene = scene();
    let recent = async |number| {
        let orders = scene.register.recent(&scene.ours).await.unwrap();
        let now = Clock::system().now();
        orders
            .cancelled(user(number), &Request::default(), now)
            .is_some()
    };
    assert!(!recent(1).await);
    scene.cancel(&[user(1)]).await;
    assert!(!recent(1).await);
    tokio::time::advance(RECENT).await;
    assert!(recent(1).await);
    scene.cancel(&[user(2)]).await;
    assert!(scene.is_cancelled(2).await);
    assert!(recent(2).await, "what one run read helps the others");
}
