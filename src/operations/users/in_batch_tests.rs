use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use parking_lot::Mutex;

use super::super::{UserFilter, UserPage, UserSources, list};
use super::*;
use crate::adapters::embedded::EmbeddedCheckpoints;
use crate::clock::Clock;
use crate::failure::Failure;
use crate::machine::StateName;
use crate::ports::FileColumns;
use crate::ports::batches::{BatchPlace, Known, Listed, Record, Summary};

/// One batch in memory, which counts the records that are read.
#[derive(Default)]
struct OneBatch {
    users: Mutex<Vec<(i64, UserId)>>,
    records_read: AtomicUsize,
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn user(number: usize) -> UserId {
    format!("00000000-0000-4000-8000-{number:012}")
        .parse()
        .unwrap()
}

impl OneBatch {
    fn add(&self, second: i64, user_id: UserId) {
        let mut users = self.users.lock();
        users.push((second, user_id));
        users.sort_unstable();
    }
}

#[async_trait]
impl Batches for OneBatch {
    async fn add_users(
        &self,
        _batch: &BatchId,
        users: &[UserId],
        at: Timestamp,
    ) -> Result<(), Failure> {
        for user_id in users {
            self.add(at.as_second(), *user_id);
        }
        Ok(())
    }

    async fn keep_columns(
        &self,
        _batch: &BatchId,
        _columns: &[(UserId, FileColumns)],
    ) -> Result<(), Failure> {
        Ok(())
    }

    async fn columns(
        &self,
        _batch: &BatchId,
        users: &[UserId],
    ) -> Result<Vec<FileColumns>, Failure> {
        Ok(vec![FileColumns::default(); users.len()])
    }

    async fn users_in(&self, _batch: &BatchId, _users: &[UserId]) -> Result<Vec<UserId>, Failure> {
        Ok(Vec::new())
    }

    async fn batches_of(
        &self,
        _user_id: UserId,
        _limit: usize,
    ) -> Result<Vec<(BatchId, Timestamp)>, Failure> {
        Ok(Vec::new())
    }

    async fn listed(
        &self,
        _after: Option<&BatchPlace>,
        _limit: usize,
    ) -> Result<(Vec<Listed>, Option<BatchPlace>), Failure> {
        Ok((Vec::new(), None))
    }

    async fn begun_at(&self, _batch: &BatchId) -> Result<Option<Timestamp>, Failure> {
        Ok(Some(at(0)))
    }

    async fn page(&self, _batch: &BatchId, from: usize, count: usize) -> Result<Members, Failure> {
        let users = self.users.lock();
        let page: Vec<_> = users.iter().skip(from).take(count).copied().collect();
        Ok(Members {
            next: (page.len() == count).then_some(from + count),
            users: page.iter().map(|(_, user_id)| *user_id).collect(),
            added_at: page.iter().map(|(second, _)| at(*second)).collect(),
        })
    }

    async fn position(&self, _batch: &BatchId, user_id: UserId) -> Result<Option<usize>, Failure> {
        let users = self.users.lock();
        Ok(users.iter().position(|(_, other)| *other == user_id))
    }

    async fn summaries(&self, _batch: &BatchId, users: &[UserId]) -> Result<Vec<Known>, Failure> {
        self.records_read.fetch_add(users.len(), Ordering::Relaxed);
        let summary = |user_id: &UserId| {
            let is_even = user_id.to_string().ends_with(['0', '2', '4', '6', '8']);
            Known::Summary(Summary {
                batch_id: None,
                state: if is_even {
                    StateName::Deleted
                } else {
                    StateName::Received
                },
                requested_at: None,
                access_removed_at: None,
                finished_at: None,
                wait: None,
                cancelled_at: None,
                dead_letter: None,
                deletion: None,
                updated_at: at(0),
            })
        };
        Ok(users.iter().map(summary).collect())
    }

    async fn records(&self, _batch: &BatchId, _users: &[UserId]) -> Result<Vec<Record>, Failure> {
        Ok(Vec::new())
    }
}

struct Scene {
    batch: OneBatch,
    index: EmbeddedCheckpoints,
    _directory: tempfile::TempDir,
}

impl Scene {
    fn with(users: usize) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let batch = OneBatch::default();
        let added = (0..users).map(|number| (100, user(number)));
        batch.users.lock().extend(added);
        Self {
            batch,
            index: EmbeddedCheckpoints::open(directory.path(), Clock::system()).unwrap(),
            _directory: directory,
        }
    }

    async fn page(&self, filter: &UserFilter, cursor: Option<&str>, limit: usize) -> UserPage {
        let sources = UserSources {
            users: &self.index,
            batches: Some(&self.batch),
        };
        let filter = UserFilter {
            batch: Some("b".parse().unwrap()),
            ..filter.clone()
        };
        list(&sources, &filter, cursor, limit, at(1_000))
            .await
            .unwrap()
    }

    async fn all(&self, filter: &UserFilter, limit: usize) -> Vec<UserId> {
        let mut users = Vec::new();
        let mut cursor = None;
        loop {
            let page = self.page(filter, cursor.as_deref(), limit).await;
            assert!(page.users.len() <= limit);
            users.extend(page.users.iter().map(|user| user.user_id));
            cursor = page.next_cursor;
            if cursor.is_none() {
                return users;
            }
        }
    }
}

#[tokio::test]
async fn a_page_of_ten_thousand_users_reads_no_record_that_the_filter_does_not_need() {
    let scene = Scene::with(10_000);
    let read = || scene.batch.records_read.swap(0, Ordering::Relaxed);
    let any = UserFilter::default();
    let first = scene.page(&any, None, 100).await;
    assert_eq!((first.users.len(), read()), (100, 100));
    let second = scene.page(&any, first.next_cursor.as_deref(), 100).await;
    assert_eq!((second.users[0].user_id, read()), (user(100), 100));

    let one = UserFilter {
        id_begins: Some(user(9_876).to_string()),
        ..UserFilter::default()
    };
    let found = scene.page(&one, None, 100).await;
    assert_eq!((found.users.len(), read()), (1, 1));
    assert_eq!(found.next_cursor, None);
}

#[tokio::test]
async fn each_user_comes_once_whatever_the_filter_and_the_limit_are() {
    let scene = Scene::with(1_203);
    let deleted = UserFilter {
        state: Some(StateName::Deleted),
        ..UserFilter::default()
    };
    let tens = UserFilter {
        id_begins: Some("00000000-0000-4000-8000-00000000010".to_owned()),
        ..UserFilter::default()
    };
    for limit in [1, 7, 100, 401, 1203, 5000] {
        let all: Vec<UserId> = (0..1_203).map(user).collect();
        assert_eq!(scene.all(&UserFilter::default(), limit).await, all);
        let even: Vec<UserId> = (0..1_203).step_by(2).map(user).collect();
        assert_eq!(scene.all(&deleted, limit).await, even);
        let expected: Vec<UserId> = (100..110).map(user).collect();
        assert_eq!(scene.all(&tens, limit).await, expected, "{limit}");
    }
}

#[tokio::test]
async fn one_who_is_added_before_the_place_of_the_cursor_moves_nobody() {
    let scene = Scene::with(10);
    let any = UserFilter::default();
    let first = scene.page(&any, None, 4).await;
    // A clock that is behind: the user comes before all others.
    scene.batch.add(50, user(77));
    let second = scene.page(&any, first.next_cursor.as_deref(), 4).await;
    let ids: Vec<UserId> = second.users.iter().map(|user| user.user_id).collect();
    assert_eq!(ids, [4, 5, 6, 7].map(user));
}
