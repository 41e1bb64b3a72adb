//! Batches, which only Redis keeps.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::servers;
use super::setup::{LEASE, checkpoint_key, raw_redis, user};
use crate::adapters::redis::{RedisBatches, RedisCheckpoints, RedisConnection};
use crate::address::RedisUrl;
use crate::failure::{Class, Code, Failure, Reason};
use crate::integrity::Integrity;
use crate::job::{BatchId, Request, UserId};
use crate::machine::Checkpoint;
use crate::ports::batches::{Batches, Known, Record, Summary};
use crate::ports::{Checkpoints as _, Claim, FileColumns};

pub(super) struct Store {
    pub(super) url: RedisUrl,
    pub(super) batches: Arc<dyn Batches>,
    pub(super) connection: Arc<RedisConnection>,
}

pub(super) fn store() -> Store {
    let url = servers::redis_url();
    let connection = Arc::new(RedisConnection::new(&url));
    Store {
        url,
        batches: Arc::new(RedisBatches::new(Arc::clone(&connection))),
        connection,
    }
}

pub(super) fn batch(name: &str) -> BatchId {
    name.parse().unwrap()
}

pub(super) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

pub(super) fn of_batch(user_id: UserId, name: &str) -> Checkpoint {
    let request = Request {
        batch_id: Some(batch(name)),
        ..Request::default()
    };
    Checkpoint::new(user_id, request, at(7))
}

pub(super) fn give_up(checkpoint: &mut Checkpoint) {
    let class = Class::Permanent(Reason::UserNotFound);
    let failure = Failure::new(class, Code::UserNotFound, "no such user");
    checkpoint.give_up(Reason::UserNotFound, failure, at(9));
}

pub(super) fn checkpoints(store: &Store, retention: Option<Duration>) -> RedisCheckpoints {
    let connection = Arc::clone(&store.connection);
    RedisCheckpoints::new(connection, LEASE, retention, Integrity::default())
}

/// Saves it as a worker does that forgets finished and unknown users after `retention`.
pub(super) async fn save(store: &Store, checkpoint: &Checkpoint, retention: Option<Duration>) {
    let checkpoints = checkpoints(store, retention);
    let user_id = checkpoint.user_id;
    let Claim::Granted { lease, version, .. } = checkpoints.claim(user_id).await.unwrap() else {
        panic!("nobody else has it");
    };
    checkpoints.save(&lease, version, checkpoint).await.unwrap();
    checkpoints.release(&lease).await.unwrap();
}

#[tokio::test]
async fn a_batch_that_is_not_there_is_empty() {
    let store = store();
    let none = batch("none");
    assert_eq!(store.batches.begun_at(&none).await.unwrap(), None);
    assert_eq!(store.batches.listed(None, 5).await.unwrap().0, []);
    assert_eq!(store.batches.users_in(&none, &[]).await.unwrap(), []);
    assert_eq!(store.batches.users_in(&none, &[user()]).await.unwrap(), []);
    let page = store.batches.page(&none, 0, 5).await.unwrap();
    assert_eq!((page.users, page.next), (Vec::new(), None));
    assert_eq!(store.batches.records(&none, &[]).await.unwrap(), []);
    assert_eq!(store.batches.summaries(&none, &[]).await.unwrap(), []);
}

#[tokio::test]
async fn users_are_listed_in_the_order_in_which_they_were_first_added() {
    let store = store();
    let batch = batch("2026-11");
    let users = [user(), user(), user()];
    for (second, user_id) in (10..).zip(users) {
        store
            .batches
            .add_users(&batch, &[user_id], at(second))
            .await
            .unwrap();
    }
    store
        .batches
        .add_users(&batch, &[users[0]], at(99))
        .await
        .unwrap();

    assert_eq!(store.batches.begun_at(&batch).await.unwrap(), Some(at(10)));
    let first = store.batches.page(&batch, 0, 2).await.unwrap();
    assert_eq!((first.users.as_slice(), first.next), (&users[..2], Some(2)));
    let second = store.batches.page(&batch, 2, 2).await.unwrap();
    assert_eq!((second.users.as_slice(), second.next), (&users[2..], None));
    let known = store
        .batches
        .users_in(&batch, &[user(), users[2], users[0]])
        .await
        .unwrap();
    assert_eq!(known, [users[2], users[0]]);
}

#[tokio::test]
async fn the_latest_batch_is_listed_first() {
    let store = store();
    for (second, name) in [(10, "a"), (30, "b"), (20, "c")] {
        let users = vec![user(); usize::try_from(second / 10).unwrap()];
        store
            .batches
            .add_users(&batch(name), &users, at(second))
            .await
            .unwrap();
    }
    let listed = store.batches.listed(None, 2).await.unwrap().0;
    let listed: Vec<_> = listed
        .iter()
        .map(|one| (one.batch_id.to_string(), one.begun_at, one.users))
        .collect();
    assert_eq!(
        listed,
        [("b".to_owned(), at(30), 1), ("c".to_owned(), at(20), 1)]
    );
}

#[tokio::test]
async fn batches_are_listed_page_by_page_also_those_of_one_moment() {
    let store = store();
    for (second, name) in [(10, "a"), (30, "c"), (30, "b"), (20, "d"), (30, "e")] {
        store
            .batches
            .add_users(&batch(name), &[user()], at(second))
            .await
            .unwrap();
    }
    let mut names = String::new();
    let mut after = None;
    loop {
        let page = store.batches.listed(after.as_ref(), 2).await.unwrap();
        assert!(page.0.len() <= 2);
        names.extend(page.0.iter().map(|one| one.batch_id.to_string()));
        match page.1 {
            Some(next) => after = Some(next),
            None => break,
        }
        if names.len() == 2 {
            // A newer one joins in the middle, and moves none of the others.
            store
                .batches
                .add_users(&batch("f"), &[user()], at(40))
                .await
                .unwrap();
        }
    }
    assert_eq!(names, "ecbda");
}

#[tokio::test]
async fn a_user_has_a_position_among_those_who_were_added_at_once() {
    let store = store();
    let batch = batch("2026-11");
    let first = user();
    let mut others = [user(), user(), user()];
    store
        .batches
        .add_users(&batch, &others, at(20))
        .await
        .unwrap();
    store
        .batches
        .add_users(&batch, &[first], at(10))
        .await
        .unwrap();

    others.sort_unstable();
    for (position, user_id) in (0..).zip([first].into_iter().chain(others)) {
        let found = store.batches.position(&batch, user_id).await.unwrap();
        assert_eq!(found, Some(position));
    }
    assert_eq!(store.batches.position(&batch, user()).await.unwrap(), None);
}

#[tokio::test]
async fn the_first_save_adds_a_user_and_the_summary_is_that_of_the_last_save() {
    let store = store();
    let user_id = user();
    let batch = batch("2026-11");
    let checkpoint = of_batch(user_id, "2026-11");
    save(&store, &checkpoint, None).await;

    let page = store.batches.page(&batch, 0, 5).await.unwrap();
    assert_eq!(page.users, [user_id]);
    let absent = user();
    let users = [absent, user_id];
    let summary = Summary::from(&checkpoint);
    let known = store.batches.summaries(&batch, &users).await.unwrap();
    assert_eq!(known, [Known::Nothing, Known::Summary(summary)]);
    let records = store.batches.records(&batch, &users).await.unwrap();
    let expected = Record::Checkpoint(Box::new(checkpoint));
    assert_eq!(records, [Record::Nothing, expected]);
}

#[tokio::test]
async fn users_of_whom_nothing_is_stored_are_only_counted() {
    let store = store();
    let batch = batch("2026-11");
    let waiting = [user(), user(), user()];
    for (second, user_id) in (10..).zip(waiting) {
        let users = [user_id];
        let adding = store.batches.add_users(&batch, &users, at(second));
        adding.await.unwrap();
    }
    let mut strange = redis::cmd("ZADD");
    strange
        .arg("offboarder:batch:2026-11:users")
        .arg(1)
        .arg("x");
    raw_redis::<i64>(&store.url, &strange).await;
    let begun = of_batch(waiting[0], "2026-11");
    save(&store, &begun, None).await;
    let mut expired = of_batch(user(), "2026-11");
    give_up(&mut expired);
    save(&store, &expired, None).await;
    let mut forget = redis::cmd("DEL");
    forget.arg(checkpoint_key(expired.user_id));
    raw_redis::<i64>(&store.url, &forget).await;

    let page = store.batches.known_page(&batch, 0, 10).await.unwrap();
    assert_eq!((page.not_begun, page.not_begun_since), (0, None));
    let summary = |checkpoint: &Checkpoint| Known::Summary(Summary::from(checkpoint));
    let known = [
        (summary(&expired), at(9)),
        (summary(&begun), at(10)),
        (Known::Nothing, at(11)),
        (Known::Nothing, at(12)),
    ];
    assert_eq!(page.users, known);
    assert_eq!(page.next, None);

    let ended = store.batches.known_page(&batch, 1, 1).await.unwrap();
    assert_eq!((ended.not_begun, ended.users), (0, known[..1].to_vec()));
    let first = store.batches.known_page(&batch, 0, 3).await.unwrap();
    assert_eq!((first.users, first.next), (known[..2].to_vec(), Some(3)));
    let rest = store.batches.known_page(&batch, 3, 3).await.unwrap();
    assert_eq!((rest.not_begun, rest.not_begun_since), (2, Some(at(11))));
    assert_eq!((rest.users, rest.next), (Vec::new(), None));
    let begun = of_batch(waiting[2], "2026-11");
    save(&store, &begun, None).await;
    let rest = store.batches.known_page(&batch, 3, 3).await.unwrap();
    let known = [(Known::Nothing, at(11)), (summary(&begun), at(12))];
    assert_eq!((rest.not_begun, rest.users), (0, known.to_vec()));
    let none = store.batches.known_page(&batch, 9, 3).await.unwrap();
    assert_eq!((none.not_begun, none.not_begun_since), (0, None));
}

#[tokio::test]
async fn a_checkpoint_without_a_valid_summary_is_read_as_a_whole() {
    let store = store();
    let users = [user(), user(), user()];
    for user_id in users {
        save(&store, &of_batch(user_id, "b"), None).await;
    }
    for (user_id, field, value) in [
        (users[0], "sum", "0 {}"),
        (users[1], "body", r#"{"schema":2}"#),
        (users[1], "sum", ""),
    ] {
        let mut command = redis::cmd("HSET");
        command.arg(checkpoint_key(user_id)).arg(field).arg(value);
        raw_redis::<i64>(&store.url, &command).await;
    }

    let batch = batch("b");
    let known = store.batches.summaries(&batch, &users).await.unwrap();
    let summary = |user_id| Known::Summary(Summary::from(&of_batch(user_id, "b")));
    assert_eq!(
        known,
        [summary(users[0]), Known::Unreadable, summary(users[2])]
    );
    let page = store.batches.known_page(&batch, 0, 3).await.unwrap();
    for user in &known {
        let is_user = |(other, _): &&(Known, Timestamp)| other == user;
        let expected = known.iter().filter(|other| *other == user).count();
        assert_eq!(page.users.iter().filter(is_user).count(), expected);
    }
    let records = store.batches.records(&batch, &users).await.unwrap();
    assert_eq!(records[1], Record::Unreadable);
}

#[tokio::test]
async fn a_batch_keeps_the_summary_of_a_checkpoint_that_expired() {
    let store = store();
    let user_id = user();
    let batch = batch("2026-11");
    let mut checkpoint = of_batch(user_id, "2026-11");
    // A user whom CXone does not know expires, whatever the retention is.
    give_up(&mut checkpoint);
    save(&store, &checkpoint, None).await;

    let mut ttl = redis::cmd("PTTL");
    ttl.arg(checkpoint_key(user_id));
    let left_ms: i64 = raw_redis(&store.url, &ttl).await;
    assert!(left_ms > 0, "it expires: {left_ms}");
    let mut expire = redis::cmd("DEL");
    expire.arg(checkpoint_key(user_id));
    raw_redis::<i64>(&store.url, &expire).await;

    let summary = Summary::from(&checkpoint);
    let known = store.batches.summaries(&batch, &[user_id]).await.unwrap();
    assert_eq!(known, [Known::Summary(summary.clone())]);
    let records = store.batches.records(&batch, &[user_id]).await.unwrap();
    assert_eq!(records, [Record::Summary(summary)]);
}

#[tokio::test]
async fn what_another_program_wrote_into_a_batch_is_no_user() {
    let store = store();
    let batch = batch("b");
    let user_id = user();
    store
        .batches
        .add_users(&batch, &[user_id], at(1))
        .await
        .unwrap();
    let mut command = redis::cmd("ZADD");
    command.arg("offboarder:batch:b:users").arg(2).arg("eve");
    raw_redis::<i64>(&store.url, &command).await;

    let page = store.batches.page(&batch, 0, 2).await.unwrap();
    assert_eq!((page.users, page.next), (vec![user_id], Some(2)));
}

fn columns(name: &str, department: &str) -> FileColumns {
    let mut columns = FileColumns::default();
    columns.add("name", name);
    columns.add("department", department);
    columns
}

#[tokio::test]
async fn a_batch_keeps_columns_of_the_input_file_and_no_longer_than_its_users() {
    let store = store();
    let batch = batch("b");
    let users = [user(), user(), user()];
    let kept = [
        (users[0], columns("Ada", "Sales")),
        (users[1], columns("Bob", "")),
    ];
    store.batches.keep_columns(&batch, &kept).await.unwrap();
    store
        .batches
        .add_users(&batch, &users, at(1))
        .await
        .unwrap();
    let read = store.batches.columns(&batch, &users).await.unwrap();
    let none = FileColumns::default();
    assert_eq!(read, [kept[0].1.clone(), kept[1].1.clone(), none]);
    assert_eq!(store.batches.columns(&batch, &[]).await.unwrap(), []);

    let key = "offboarder:columns:{offboarder:batch:b:users}";
    let expires = || async {
        let mut command = redis::cmd("TTL");
        command.arg(key);
        raw_redis::<i64>(&store.url, &command).await
    };
    assert!(expires().await > 360 * 86_400, "{}", expires().await);

    // Another program may write there; the users of the batch are not affected.
    let mut command = redis::cmd("HSET");
    command.arg(key).arg(users[2].to_string()).arg("{\"a\":7}");
    raw_redis::<i64>(&store.url, &command).await;
    let read = store.batches.columns(&batch, &users[2..]).await.unwrap();
    assert_eq!(read, [FileColumns::default()]);

    for user_id in users {
        let mut checkpoint = of_batch(user_id, "b");
        let class = Class::Permanent(Reason::UserNotFound);
        let failure = Failure::new(class, Code::UserNotFound, "no such user");
        checkpoint.give_up(Reason::UserNotFound, failure, at(9));
        save(&store, &checkpoint, Some(Duration::from_hours(24))).await;
    }
    let left = expires().await;
    assert!((1..=100 * 86_400).contains(&left), "{left}");
}
