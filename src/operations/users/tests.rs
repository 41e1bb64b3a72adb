use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;

use super::*;
use crate::adapters::embedded::EmbeddedCheckpoints;
use crate::clock::Clock;
use crate::job::Request;
use crate::machine::{Checkpoint, StateName};
use crate::ports::users::Scanned;
use crate::ports::{Checkpoints as _, Claim};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn user(number: u32) -> UserId {
    format!("00000000-0000-4000-8000-{number:012}")
        .parse()
        .unwrap()
}

struct Scene {
    store: EmbeddedCheckpoints,
    _directory: tempfile::TempDir,
}

fn scene() -> Scene {
    let directory = tempfile::tempdir().unwrap();
    Scene {
        store: EmbeddedCheckpoints::open(directory.path(), Clock::system()).unwrap(),
        _directory: directory,
    }
}

impl Scene {
    async fn save(&self, checkpoint: &Checkpoint) {
        let Claim::Granted { lease, version, .. } =
            self.store.claim(checkpoint.user_id).await.unwrap()
        else {
            panic!("nobody else has it");
        };
        self.store.save(&lease, version, checkpoint).await.unwrap();
        self.store.release(&lease).await.unwrap();
    }

    async fn list(
        &self,
        filter: &UserFilter,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<UserPage, NoList> {
        let sources = UserSources {
            users: &self.store,
            batches: None,
        };
        list(&sources, filter, cursor, limit, at(1_000)).await
    }

    async fn all(&self, filter: &UserFilter, limit: usize) -> Vec<UserId> {
        let mut users = Vec::new();
        let mut cursor = None;
        loop {
            let page = self.list(filter, cursor.as_deref(), limit).await.unwrap();
            assert!(page.users.len() <= limit);
            users.extend(page.users.iter().map(|user| user.user_id));
            match page.next_cursor {
                Some(next) => cursor = Some(next),
                None => return users,
            }
        }
    }
}

fn requested(user_id: UserId, second: i64) -> Checkpoint {
    let mut checkpoint = Checkpoint::new(user_id, Request::default(), at(second));
    checkpoint.request.requested_at = Some(at(second));
    checkpoint
}

#[tokio::test]
async fn pages_name_each_user_once_in_order_whatever_the_limit_is() {
    let scene = scene();
    for number in 0..9 {
        let second = if number < 5 { 100 } else { 90 };
        scene.save(&requested(user(number), second)).await;
    }
    let access = UserFilter {
        access: true,
        ..UserFilter::default()
    };
    let first = [5, 6, 7, 8, 0, 1, 2, 3, 4].map(user);
    for limit in [1, 2, 3, 9, 50] {
        assert_eq!(scene.all(&access, limit).await, first, "{limit}");
        let mut everyone = scene.all(&UserFilter::default(), limit).await;
        everyone.sort_unstable();
        assert_eq!(everyone, (0..9).map(user).collect::<Vec<_>>(), "{limit}");
    }
}

#[tokio::test]
async fn a_filter_by_state_or_wait_leaves_the_others_out() {
    let scene = scene();
    scene.save(&requested(user(1), 100)).await;
    let mut waiting = requested(user(2), 100);
    waiting.waiting_until = Some(at(2_000));
    scene.save(&waiting).await;
    let mut over = requested(user(3), 100);
    over.waiting_until = Some(at(900));
    scene.save(&over).await;

    let waits = UserFilter {
        waiting_for: Some("unknown".to_owned()),
        ..UserFilter::default()
    };
    assert_eq!(scene.all(&waits, 10).await, [user(2)]);
    let archived = UserFilter {
        state: Some(StateName::Archived),
        ..UserFilter::default()
    };
    assert!(scene.all(&archived, 10).await.is_empty());
}

#[tokio::test]
async fn a_filter_by_age_ends_at_the_first_who_was_asked_for_later() {
    let scene = scene();
    for number in 0..9 {
        let second = 100 + i64::from(number);
        scene.save(&requested(user(number), second)).await;
    }
    let old = UserFilter {
        access: true,
        asked_before: Some(at(102)),
        ..UserFilter::default()
    };
    for limit in [1, 2, 3, 50] {
        assert_eq!(scene.all(&old, limit).await, [0, 1, 2].map(user), "{limit}");
    }
    let given_up = UserFilter {
        dead_letter: true,
        ..UserFilter::default()
    };
    assert!(scene.all(&given_up, 10).await.is_empty());
}

#[tokio::test]
async fn an_incomplete_index_is_rebuilt_before_it_answers() {
    let scene = scene();
    scene.save(&requested(user(1), 100)).await;
    let filter = UserFilter {
        access: true,
        ..UserFilter::default()
    };
    let page = scene.list(&filter, None, 10).await.unwrap();
    let access = page.access.unwrap();
    assert_eq!((access.users, access.since), (1, Some(at(100))));
    assert!(access.complete_since.is_some());
}

#[tokio::test]
async fn a_cursor_of_other_filters_or_of_nobody_is_refused() {
    let scene = scene();
    scene.save(&requested(user(1), 100)).await;
    for cursor in ["", "x", "a_1", "b_1", "a_1_x", "s_1"] {
        let refused = scene.list(&UserFilter::default(), Some(cursor), 10).await;
        assert!(matches!(refused, Err(NoList::BadCursor)), "{cursor}");
    }
    let of_batch = UserFilter {
        batch: Some("b".parse().unwrap()),
        ..UserFilter::default()
    };
    let refused = scene.list(&of_batch, None, 10).await;
    assert!(matches!(refused, Err(NoList::NoBatches)));
}

#[test]
fn a_cursor_reads_back() {
    for cursor in [
        Cursor::Access(Asked {
            at: at(7),
            user_id: user(1),
        }),
        Cursor::Batch(500, None),
        Cursor::Batch(500, Some(user(2))),
        Cursor::Scan(None, None),
        Cursor::Scan(Some("0-17".to_owned()), Some(user(2))),
    ] {
        assert_eq!(Cursor::parse(&cursor.text()), Some(cursor));
    }
}

/// Counts the rebuilds.
struct Counted {
    store: EmbeddedCheckpoints,
    rebuilds: AtomicUsize,
}

#[async_trait]
impl UserIndex for Counted {
    async fn add_asked(&self, users: &[UserId], at: Timestamp) -> Result<(), Failure> {
        self.store.add_asked(users, at).await
    }

    async fn asked_at(&self, user_id: UserId) -> Result<Option<Timestamp>, Failure> {
        self.store.asked_at(user_id).await
    }

    async fn with_access(&self, after: Option<Asked>, limit: usize) -> Result<WithAccess, Failure> {
        self.store.with_access(after, limit).await
    }

    async fn correct(&self, users: &[UserId]) -> Result<(), Failure> {
        self.store.correct(users).await
    }

    async fn rebuild(&self) -> Result<(), Failure> {
        self.rebuilds.fetch_add(1, Ordering::Relaxed);
        // All who ask at the same time have seen an index that is not complete.
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        self.store.rebuild().await
    }

    async fn scan(&self, from: Option<&str>, count: usize) -> Result<Scanned, Failure> {
        self.store.scan(from, count).await
    }

    async fn summaries(&self, users: &[UserId]) -> Result<Vec<Known>, Failure> {
        self.store.summaries(users).await
    }
}

#[tokio::test]
async fn however_many_ask_an_index_is_rebuilt_once_and_an_overview_rebuilds_none() {
    let Scene { store, _directory } = scene();
    let rebuilds = AtomicUsize::new(0);
    let counted = Counted { store, rebuilds };
    let unknown = access_total(&counted).await.unwrap_err();
    assert_eq!(unknown.code, "being_rebuilt");
    assert_eq!(counted.rebuilds.load(Ordering::Relaxed), 0);

    let all = futures_util::future::join_all((0..8).map(|_| complete(&counted))).await;
    assert!(
        all.iter()
            .all(|total| total.as_ref().unwrap().complete_since.is_some())
    );
    assert_eq!(counted.rebuilds.load(Ordering::Relaxed), 1);
    assert_eq!(access_total(&counted).await.unwrap().users, 0);
}
