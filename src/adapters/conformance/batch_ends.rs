//! How the end of a batch is found out, which only Redis keeps.

use std::time::Duration;

use super::batches::{Store, at, batch, checkpoints, give_up, of_batch, save, store};
use super::setup::{raw_redis, user};
use crate::job::UserId;
use crate::machine::samples::{self, finished};
use crate::machine::{Checkpoint, State};
use crate::ports::Checkpoints as _;
use crate::ports::batches::FinishedBatch;

/// A batch of two users: the first is deleted, the second is a dead letter.
async fn ended(store: &Store, retention: Option<Duration>) -> [Checkpoint; 2] {
    let users = [user(), user()];
    store
        .batches
        .add_users(&batch("b"), &users, at(1))
        .await
        .unwrap();
    let [mut first, mut second] = users.map(|user_id| of_batch(user_id, "b"));
    first.advance(finished(at(8)), Vec::new(), at(8));
    give_up(&mut second);
    save(store, &first, retention).await;
    save(store, &second, retention).await;
    [first, second]
}

#[tokio::test]
async fn the_end_of_a_batch_is_answered_until_it_is_announced_and_again_after_a_change() {
    for retention in [None, Some(Duration::from_mins(5))] {
        let store = store();
        let [first, mut second] = ended(&store, retention).await;
        let checkpoints = checkpoints(&store, retention);
        let settle = async |checkpoint: &Checkpoint, second: i64| {
            let batch = batch("b");
            let settling = checkpoints.settle_in_batch(&batch, checkpoint.user_id, at(second));
            settling.await.unwrap()
        };
        let counts = |batch: &FinishedBatch| {
            let FinishedBatch {
                deleted,
                deactivated_only,
                dead_lettered,
                ..
            } = batch;
            [*deleted, *deactivated_only, *dead_lettered]
        };

        assert_eq!(settle(&first, 8).await, None, "one is left");
        let batch_1 = settle(&second, 9).await.expect("the last one");
        assert_eq!((counts(&batch_1), batch_1.at), ([1, 0, 1], at(9)));
        assert_eq!(
            settle(&first, 8).await,
            Some(batch_1.clone()),
            "after a crash"
        );
        checkpoints.note_batch_announced(&batch_1).await.unwrap();
        assert_eq!(settle(&first, 8).await, None, "a message that came again");

        // The dead letter is replayed, begins again and ends.
        second.dead_letter = None;
        save(&store, &second, retention).await;
        assert_eq!(settle(&first, 88).await, None, "one began again");
        second.advance(finished(at(20)), Vec::new(), at(20));
        save(&store, &second, retention).await;
        let batch_2 = settle(&second, 20).await.expect("again");
        assert_eq!((counts(&batch_2), batch_2.at), ([2, 0, 0], at(20)));

        // A cancelled user has nothing left to do.
        let mut cancelled = first.clone();
        cancelled.state = State::Received;
        cancelled.cancel(samples::cancelled(at(30)), at(30));
        save(&store, &cancelled, retention).await;
        let batch_3 = settle(&cancelled, 30).await.expect("with other counts");
        assert_eq!((counts(&batch_3), batch_3.at), ([1, 0, 0], at(30)));
        assert_eq!((batch_3.cancelled, batch_3.users()), (1, 2));
        save(&store, &first, retention).await;
        assert_eq!(
            settle(&second, 20).await.map(|batch| batch.cancelled),
            Some(0)
        );

        // The note of the first end does not hide the second one.
        checkpoints.note_batch_announced(&batch_1).await.unwrap();
        let counted = settle(&second, 20).await.map(|batch| counts(&batch));
        assert_eq!(counted, Some(counts(&batch_2)));
    }
}

#[tokio::test]
async fn a_batch_with_a_user_who_has_not_begun_or_with_damaged_keys_has_not_ended() {
    let store = store();
    let [first, second] = ended(&store, None).await;
    let checkpoints = checkpoints(&store, None);
    let settle = async |user_id: UserId, name: &str| {
        let batch = batch(name);
        let settling = checkpoints.settle_in_batch(&batch, user_id, at(9));
        settling.await.unwrap()
    };

    let third = user();
    store
        .batches
        .add_users(&batch("b"), &[third], at(1))
        .await
        .unwrap();
    assert_eq!(settle(first.user_id, "b").await, None);
    assert_eq!(settle(second.user_id, "b").await, None);
    // It counts as ended, and nothing is stored that says so.
    assert_eq!(settle(third, "b").await, None);
    assert_eq!(settle(first.user_id, "other").await, None, "no such batch");

    let key = "offboarder:settled:{offboarder:batch:b:users}";
    let mut set = redis::cmd("SET");
    set.arg(key).arg("x");
    raw_redis::<String>(&store.url, &set).await;
    assert_eq!(settle(first.user_id, "b").await, None);
    let mut kind = redis::cmd("TYPE");
    kind.arg(key);
    assert_eq!(raw_redis::<String>(&store.url, &kind).await, "zset");
}
