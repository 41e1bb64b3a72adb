//! Claims, saves, notes, and records that do not count, over every checkpoint store.

use super::setup::{CheckpointStore, LEASE, checkpoint, embedded, redis, user};
use crate::failure::Code;
use crate::ports::{Claim, GroupReplay, ReplayNote, ReplayedUser, Saved};

const KEY: &str = "a key of thirty-two characters ..";
const OTHER_KEY: &str = "another key of thirty-two characters";

super::over_each_adapter!({
    a_new_user_is_granted_without_a_checkpoint,
    a_claimed_user_is_held_until_the_lease_is_released,
    what_was_saved_is_read_back,
    a_save_that_expects_another_version_is_refused,
    a_lease_that_was_released_changes_nothing,
    the_last_save_gives_the_lease_up_in_the_same_step,
    a_damaged_checkpoint_counts_as_absent_and_is_overwritten,
    a_checkpoint_of_another_user_counts_as_absent,
    a_checkpoint_of_a_later_release_is_refused_and_releases_the_user,
    with_a_key_only_a_checkpoint_with_a_valid_code_counts,
    without_a_key_every_checkpoint_counts,
    the_noted_count_of_holds_is_read_back,
    a_note_of_a_replay_is_there_until_the_next,
    the_last_replay_of_a_group_is_read_back,
    a_probe_passes_again_and_again,
} over redis, embedded);

async fn a_new_user_is_granted_without_a_checkpoint(store: CheckpointStore) {
    let user_id = user();
    assert_eq!(store.checkpoints.read(user_id).await.unwrap(), None);

    let claimed = store.claimed(user_id).await;
    assert_eq!(claimed.lease.user_id, user_id);
    assert_eq!(claimed.version, 0);
    assert_eq!(claimed.checkpoint, None);
    assert_eq!(claimed.deaths, 0);
    assert!(!claimed.authenticated, "there is no key");
}

async fn a_claimed_user_is_held_until_the_lease_is_released(store: CheckpointStore) {
    let user_id = user();
    let checkpoints = &store.checkpoints;
    assert_eq!(checkpoints.lease_left(user_id).await.unwrap(), None);

    let lease = store.claimed(user_id).await.lease;
    let Claim::Held { for_at_most, .. } = checkpoints.claim(user_id).await.unwrap() else {
        panic!("the lease is taken");
    };
    assert!(!for_at_most.is_zero() && for_at_most <= checkpoints.lease_ttl());
    assert!(checkpoints.renew(&lease).await.unwrap());
    let left = checkpoints.lease_left(user_id).await.unwrap().unwrap();
    assert!(!left.is_zero() && left <= checkpoints.lease_ttl());
    store.claimed(user()).await;

    checkpoints.release(&lease).await.unwrap();
    assert_eq!(checkpoints.lease_left(user_id).await.unwrap(), None);
    let again = store.claimed(user_id).await;
    assert_eq!(again.deaths, 0, "the first claim was released");
    assert_eq!(checkpoints.lease_ttl(), LEASE);
}

async fn what_was_saved_is_read_back(store: CheckpointStore) {
    let user_id = user();
    let lease = store.claimed(user_id).await.lease;
    for version in 1..=3 {
        let saved = checkpoint(user_id, i64::try_from(version).unwrap());
        let answer = store.checkpoints.save(&lease, version - 1, &saved).await;
        assert_eq!(answer.unwrap(), Saved::Version(version));
        let read = store.checkpoints.read(user_id).await.unwrap();
        assert_eq!(read, Some(saved));
    }

    store.checkpoints.release(&lease).await.unwrap();
    let claimed = store.claimed(user_id).await;
    assert_eq!(claimed.version, 3);
    assert_eq!(claimed.checkpoint, Some(checkpoint(user_id, 3)));
}

async fn a_save_that_expects_another_version_is_refused(store: CheckpointStore) {
    let user_id = user();
    let checkpoints = &store.checkpoints;
    let lease = store.claimed(user_id).await.lease;
    let first = checkpoint(user_id, 1);
    assert_eq!(
        checkpoints.save(&lease, 0, &first).await.unwrap(),
        Saved::Version(1)
    );

    let other = checkpoint(user_id, 2);
    for expected in [0, 2, 7] {
        let answer = checkpoints.save(&lease, expected, &other).await.unwrap();
        assert_eq!(answer, Saved::Refused, "{expected}");
    }
    assert_eq!(checkpoints.read(user_id).await.unwrap(), Some(first));
}

async fn the_last_save_gives_the_lease_up_in_the_same_step(store: CheckpointStore) {
    let user_id = user();
    let checkpoints = &store.checkpoints;
    let lease = store.claimed(user_id).await.lease;
    let last = checkpoint(user_id, 1);
    let refused = checkpoints.save_and_release(&lease, 7, &last).await;
    assert_eq!(refused.unwrap(), Saved::Refused);
    assert!(checkpoints.lease_left(user_id).await.unwrap().is_some());

    let saved = checkpoints.save_and_release(&lease, 0, &last).await;
    assert_eq!(saved.unwrap(), Saved::Version(1));
    assert_eq!(checkpoints.lease_left(user_id).await.unwrap(), None);
    let other = checkpoint(user_id, 2);
    for expected in [0, 1] {
        let late = checkpoints.save_and_release(&lease, expected, &other).await;
        assert_eq!(late.unwrap(), Saved::Refused, "{expected}");
    }

    let claimed = store.claimed(user_id).await;
    assert_eq!((claimed.version, claimed.deaths), (1, 0));
    assert_eq!(claimed.checkpoint, Some(last.clone()));
    let late = checkpoints.save_and_release(&lease, 0, &last).await;
    assert_eq!(late.unwrap(), Saved::Refused, "another run has the lease");
}

async fn a_lease_that_was_released_changes_nothing(store: CheckpointStore) {
    let user_id = user();
    let checkpoints = &store.checkpoints;
    let old = store.claimed(user_id).await.lease;
    checkpoints.release(&old).await.unwrap();
    let saved = checkpoint(user_id, 1);
    assert!(!checkpoints.renew(&old).await.unwrap());
    assert_eq!(
        checkpoints.save(&old, 0, &saved).await.unwrap(),
        Saved::Refused
    );

    let new = store.claimed(user_id).await.lease;
    assert!(!checkpoints.renew(&old).await.unwrap());
    checkpoints.release(&old).await.unwrap();
    assert_eq!(
        checkpoints.save(&old, 0, &saved).await.unwrap(),
        Saved::Refused
    );
    assert!(
        checkpoints.renew(&new).await.unwrap(),
        "the old lease did not release the new one"
    );
    assert_eq!(
        checkpoints.save(&new, 0, &saved).await.unwrap(),
        Saved::Version(1)
    );
}

async fn a_damaged_checkpoint_counts_as_absent_and_is_overwritten(store: CheckpointStore) {
    for text in [
        "",
        "{",
        "null",
        "[]",
        "7",
        r#"{"schema":1}"#,
        r#"{"schema":0}"#,
        r#"{"schema":"2"}"#,
    ] {
        let user_id = user();
        let checkpoints = &store.checkpoints;
        let lease = store.claimed(user_id).await.lease;
        let saved = checkpoint(user_id, 1);
        checkpoints.save(&lease, 0, &saved).await.unwrap();
        checkpoints.release(&lease).await.unwrap();

        store.replace_checkpoint(user_id, text).await;
        let read = checkpoints.read(user_id).await.unwrap();
        assert_eq!(read, None, "{text}");
        let claimed = store.claimed(user_id).await;
        assert_eq!(claimed.checkpoint, None, "{text}");

        let answer = checkpoints.save(&claimed.lease, claimed.version, &saved);
        let version = claimed.version + 1;
        assert_eq!(answer.await.unwrap(), Saved::Version(version), "{text}");
        assert_eq!(checkpoints.read(user_id).await.unwrap(), Some(saved));
    }
}

async fn a_checkpoint_of_another_user_counts_as_absent(store: CheckpointStore) {
    let from = user();
    let to = user();
    let lease = store.claimed(from).await.lease;
    let saved = checkpoint(from, 1);
    store.checkpoints.save(&lease, 0, &saved).await.unwrap();

    store.copy_record(from, to).await;
    assert_eq!(store.checkpoints.read(to).await.unwrap(), None);
    let claimed = store.claimed(to).await;
    assert_eq!(claimed.checkpoint, None);
}

async fn a_checkpoint_of_a_later_release_is_refused_and_releases_the_user(store: CheckpointStore) {
    let user_id = user();
    let checkpoints = &store.checkpoints;
    let lease = store.claimed(user_id).await.lease;
    let saved = checkpoint(user_id, 1);
    checkpoints.save(&lease, 0, &saved).await.unwrap();
    checkpoints.release(&lease).await.unwrap();

    let newer = r#"{"schema":2,"userId":"of a later form"}"#;
    store.replace_checkpoint(user_id, newer).await;
    for _ in 0..2 {
        let failure = checkpoints.claim(user_id).await.unwrap_err();
        assert_eq!(failure.code, Code::CheckpointUnreadable);
        assert!(failure.text.contains("upgrade this worker"), "{failure}");
        assert_eq!(checkpoints.lease_left(user_id).await.unwrap(), None);
    }
    let failure = checkpoints.read(user_id).await.unwrap_err();
    assert_eq!(failure.code, Code::CheckpointUnreadable);
}

async fn with_a_key_only_a_checkpoint_with_a_valid_code_counts(store: CheckpointStore) {
    let bare = user();
    let lease = store.claimed(bare).await.lease;
    let unsigned = checkpoint(bare, 1);
    store.checkpoints.save(&lease, 0, &unsigned).await.unwrap();
    store.checkpoints.release(&lease).await.unwrap();

    let store = store.with_key(KEY);
    let signed = user();
    let claimed = store.claimed(signed).await;
    assert!(claimed.authenticated);
    let saved = checkpoint(signed, 1);
    let saving = store.checkpoints.save(&claimed.lease, 0, &saved);
    saving.await.unwrap();
    assert_eq!(
        store.checkpoints.read(signed).await.unwrap(),
        Some(saved.clone())
    );
    assert_eq!(store.checkpoints.read(bare).await.unwrap(), None, "no code");

    let copied = user();
    store.copy_record(signed, copied).await;
    assert_eq!(store.claimed(copied).await.checkpoint, None, "copied");

    store.checkpoints.release(&claimed.lease).await.unwrap();
    let later = serde_json::to_string(&checkpoint(signed, 2)).unwrap();
    store.replace_checkpoint(signed, &later).await;
    let claimed = store.claimed(signed).await;
    assert_eq!(claimed.checkpoint, None, "the code is of other bytes");
    let saving = store
        .checkpoints
        .save(&claimed.lease, claimed.version, &saved);
    assert_eq!(saving.await.unwrap(), Saved::Version(claimed.version + 1));

    let store = store.with_key(OTHER_KEY);
    assert_eq!(
        store.checkpoints.read(signed).await.unwrap(),
        None,
        "the code is of another key"
    );
}

async fn without_a_key_every_checkpoint_counts(store: CheckpointStore) {
    let store = store.with_key(KEY);
    let user_id = user();
    let lease = store.claimed(user_id).await.lease;
    let saved = checkpoint(user_id, 1);
    store.checkpoints.save(&lease, 0, &saved).await.unwrap();

    let store = store.without_key();
    assert_eq!(store.checkpoints.read(user_id).await.unwrap(), Some(saved));
    let written = serde_json::to_string(&checkpoint(user_id, 2)).unwrap();
    store.replace_checkpoint(user_id, &written).await;
    let read = store.checkpoints.read(user_id).await.unwrap();
    assert_eq!(read, Some(checkpoint(user_id, 2)));
}

async fn the_noted_count_of_holds_is_read_back(store: CheckpointStore) {
    let user_id = user();
    let checkpoints = &store.checkpoints;
    assert_eq!(checkpoints.noted_holds(user_id).await.unwrap(), 0);
    for count in [1, 3, u32::MAX] {
        checkpoints.note_holds(user_id, count).await.unwrap();
        assert_eq!(checkpoints.noted_holds(user_id).await.unwrap(), count);
        let claimed = store.claimed(user_id).await;
        let intent = checkpoint(user_id, 1);
        let saving = checkpoints.save_intent(&claimed.lease, claimed.version, &intent);
        let saved = Saved::Version(claimed.version + 1);
        assert_eq!(saving.await.unwrap(), (saved, count));
        checkpoints.release(&claimed.lease).await.unwrap();
    }
    assert_eq!(checkpoints.noted_holds(user()).await.unwrap(), 0);
}

async fn a_note_of_a_replay_is_there_until_the_next(store: CheckpointStore) {
    let checkpoints = &store.checkpoints;
    assert_eq!(checkpoints.replay_note("a").await.unwrap(), None);
    for published in [false, true] {
        let note = ReplayNote {
            published,
            saved_before: Some(jiff::Timestamp::UNIX_EPOCH),
        };
        checkpoints.note_replay("a", &note).await.unwrap();
        assert_eq!(checkpoints.replay_note("a").await.unwrap(), Some(note));
    }
    assert_eq!(checkpoints.replay_note("b").await.unwrap(), None);
}

async fn the_last_replay_of_a_group_is_read_back(store: CheckpointStore) {
    let checkpoints = &store.checkpoints;
    assert_eq!(
        checkpoints.group_replay("0badcafe0001").await.unwrap(),
        None
    );
    for count in [1, 2] {
        let replay = GroupReplay {
            at: jiff::Timestamp::UNIX_EPOCH,
            count,
            followed: vec![ReplayedUser {
                user_id: user(),
                state: "Received".to_owned(),
                saved_before: Some(jiff::Timestamp::UNIX_EPOCH),
                given_up_before: None,
            }],
        };
        let noting = checkpoints.note_group_replay("0badcafe0001", &replay);
        noting.await.unwrap();
        let read = checkpoints.group_replay("0badcafe0001").await.unwrap();
        assert_eq!(read, Some(replay));
    }
    // Neither another group nor a dead letter of that name has it.
    assert_eq!(
        checkpoints.group_replay("0badcafe0002").await.unwrap(),
        None
    );
    assert_eq!(checkpoints.replay_note("0badcafe0001").await.unwrap(), None);
}

async fn a_probe_passes_again_and_again(store: CheckpointStore) {
    for _ in 0..3 {
        store.checkpoints.probe().await.unwrap();
    }
}
