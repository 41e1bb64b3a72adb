use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;

use tokio::time::{Duration, Instant};

use super::*;
use crate::job::UserId;
use crate::operations::batches::Readings;
use crate::ports::FileColumns;
use crate::ports::batches::{Batches, Known, Members, Record};

const NOW: i64 = 2_000_000_000;

/// Batches of one user each, whom no worker has taken; the first one is the newest. It counts the calls that list them.
struct Many {
    batches: Vec<BatchId>,
    listings: AtomicUsize,
    /// How long it takes to read a batch.
    reading_takes: Duration,
}

fn many(count: usize) -> Many {
    let name = |number| format!("b_{number:05}").parse().unwrap();
    Many {
        batches: (0..count).map(name).collect(),
        listings: AtomicUsize::new(0),
        reading_takes: Duration::ZERO,
    }
}

fn source<'a>(store: &'a Arc<dyn Batches>, readings: &'a Readings) -> BatchSource<'a> {
    BatchSource {
        store,
        readings,
        until: None,
    }
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn user() -> UserId {
    "3f1f0d4e-9a51-4b4b-8f6c-1f9a4f9b7c11".parse().unwrap()
}

impl Many {
    fn begun(place: usize) -> Timestamp {
        at(NOW - 100_000 - i64::try_from(place).unwrap())
    }
}

async fn page_of(
    store: &Arc<dyn Batches>,
    begins: &str,
    cursor: Option<&str>,
    limit: usize,
) -> BatchPage {
    let filter = BatchFilter {
        state: None,
        begins: Some(begins.to_owned()),
    };
    let readings = Readings::default();
    let source = source(store, &readings);
    let page = page(&source, &running(), &filter, cursor, limit, at(NOW)).await;
    page.unwrap().unwrap()
}

#[async_trait]
impl Batches for Many {
    async fn add_users(&self, _: &BatchId, _: &[UserId], _: Timestamp) -> Result<(), Failure> {
        Ok(())
    }

    async fn keep_columns(&self, _: &BatchId, _: &[(UserId, FileColumns)]) -> Result<(), Failure> {
        Ok(())
    }

    async fn columns(&self, _: &BatchId, _: &[UserId]) -> Result<Vec<FileColumns>, Failure> {
        Ok(Vec::new())
    }

    async fn users_in(&self, _: &BatchId, _: &[UserId]) -> Result<Vec<UserId>, Failure> {
        Ok(Vec::new())
    }

    async fn batches_of(&self, _: UserId, _: usize) -> Result<Vec<(BatchId, Timestamp)>, Failure> {
        Ok(Vec::new())
    }

    async fn listed(
        &self,
        after: Option<&BatchPlace>,
        limit: usize,
    ) -> Result<(Vec<Listed>, Option<BatchPlace>), Failure> {
        self.listings.fetch_add(1, Ordering::Relaxed);
        let is_last = |batch: &BatchId| after.is_some_and(|after| after.batch_id == *batch);
        let first = self.batches.iter().position(is_last);
        let first = first.map_or(0, |place| place + 1);
        let listed = self.batches.iter().enumerate().skip(first).take(limit);
        let listed: Vec<Listed> = listed
            .map(|(place, batch)| Listed {
                batch_id: batch.clone(),
                begun_at: Self::begun(place),
                users: 1,
            })
            .collect();
        let last = listed.last().map(|last| BatchPlace {
            begun_at: last.begun_at,
            batch_id: last.batch_id.clone(),
        });
        let is_more = first + limit < self.batches.len();
        Ok((listed, last.filter(|_| is_more)))
    }

    async fn begun_at(&self, batch: &BatchId) -> Result<Option<Timestamp>, Failure> {
        let place = self.batches.iter().position(|other| other == batch);
        Ok(place.map(Self::begun))
    }

    async fn page(&self, _: &BatchId, _: usize, _: usize) -> Result<Members, Failure> {
        Ok(Members {
            users: vec![user()],
            added_at: vec![at(NOW - 100_000)],
            next: None,
        })
    }

    async fn position(&self, _: &BatchId, _: UserId) -> Result<Option<usize>, Failure> {
        Ok(None)
    }

    async fn summaries(&self, _: &BatchId, _: &[UserId]) -> Result<Vec<Known>, Failure> {
        tokio::time::sleep(self.reading_takes).await;
        Ok(vec![Known::Nothing])
    }

    async fn records(&self, _: &BatchId, _: &[UserId]) -> Result<Vec<Record>, Failure> {
        Ok(Vec::new())
    }
}

fn running() -> Stops {
    Stops {
        orders: Some(Arc::default()),
        all_paused: Some(false),
    }
}

#[test]
fn a_cursor_reads_back_though_the_name_has_underscores() {
    let there = BatchPlace {
        begun_at: Timestamp::from_millisecond(1_234_567).unwrap(),
        batch_id: "b_1_x".parse().unwrap(),
    };
    assert_eq!(place(&text(&there)), Some(there));
    for wrong in ["", "_", "1", "x_b", "1_"] {
        assert_eq!(place(wrong), None, "{wrong}");
    }
}

#[tokio::test]
async fn a_name_that_no_batch_has_costs_a_few_listings_and_ends_with_a_cursor() {
    let batches = Arc::new(many(4500));
    let store: Arc<dyn Batches> = batches.clone();
    let first = page_of(&store, "zzz", None, 1).await;
    assert!(first.batches.is_empty());
    assert_eq!(batches.listings.load(Ordering::Relaxed), 4);
    let cursor = first.next_cursor.unwrap();
    let rest = page_of(&store, "zzz", Some(&cursor), 1).await;
    assert!(rest.batches.is_empty());
    assert_eq!(rest.next_cursor, None);
    assert_eq!(batches.listings.load(Ordering::Relaxed), 5);
}

#[tokio::test]
async fn each_batch_of_the_name_comes_once() {
    let store: Arc<dyn Batches> = Arc::new(many(2500));
    let mut names = Vec::new();
    let mut cursor = None;
    loop {
        let page = page_of(&store, "b_01", cursor.as_deref(), 300).await;
        let found = page.batches.iter();
        names.extend(found.map(|listed| listed.batch.batch_id.to_string()));
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    let expected: Vec<String> = (1000..2000)
        .map(|number| format!("b_{number:05}"))
        .collect();
    assert_eq!(names, expected);
}

#[tokio::test]
async fn a_pause_of_all_workers_and_an_unknown_pause_make_no_batch_stuck() {
    let store: Arc<dyn Batches> = Arc::new(many(1));
    let readings = Readings::default();
    let source = source(&store, &readings);
    let state = async |stops: &Stops| {
        let filter = BatchFilter::default();
        let page = page(&source, stops, &filter, None, 10, at(NOW)).await;
        let page = page.unwrap().unwrap();
        (
            page.batches[0].progress.as_ref().unwrap().state,
            page.pause_unknown,
        )
    };
    let running = running();
    assert_eq!(state(&running).await, (BatchState::Stuck, false));
    let all_paused = Stops {
        all_paused: Some(true),
        ..running
    };
    assert_eq!(state(&all_paused).await, (BatchState::UnderWay, false));
    assert_eq!(state(&Stops::default()).await, (BatchState::UnderWay, true));
    let under_way = under_way(&source, &Stops::default(), at(NOW)).await;
    assert!(under_way.unwrap().pause_unknown);
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_is_not_read_in_time_is_unknown_unless_it_was_read_lately() {
    let store: Arc<dyn Batches> = Arc::new(Many {
        reading_takes: Duration::from_secs(1),
        ..many(2)
    });
    let readings = Readings::default();
    let look = async || {
        let source = BatchSource {
            until: Some(Instant::now() + Duration::from_millis(200)),
            ..source(&store, &readings)
        };
        let begun = Instant::now();
        let filter = BatchFilter::default();
        let page = page(&source, &running(), &filter, None, 10, at(NOW)).await;
        let page = page.unwrap().unwrap().batches;
        let known = page.iter().filter(|batch| batch.progress.is_some()).count();
        let under_way = under_way(&source, &running(), at(NOW)).await.unwrap();
        (
            [page.len(), known, under_way.batches.len()],
            under_way.not_read,
            begun.elapsed().as_millis(),
        )
    };
    assert_eq!(look().await, ([2, 0, 0], 2, 200));
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(look().await, ([2, 2, 2], 0, 0));
    // Both are old by then, and are shown, while they are read again.
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(look().await, ([2, 2, 2], 0, 200));
}
