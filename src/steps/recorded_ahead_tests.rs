use super::*;
use crate::adapters::directory::DirectoryStore;
use crate::clock::Clock;

fn limit(count: u32, hours: u64) -> RecordedAhead {
    let per = std::time::Duration::from_hours(hours);
    RecordedAhead::new("_requests_", RateLimit { count, per })
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// A UUID of this time.
fn id(at: Timestamp) -> Uuid {
    let seconds = u64::try_from(at.as_second()).unwrap();
    Uuid::new_v7(uuid::Timestamp::from_unix(uuid::NoContext, seconds, 0))
}

#[tokio::test]
async fn the_records_of_the_period_restore_the_count_and_older_or_odd_ones_do_not() {
    let directory = tempfile::tempdir().unwrap();
    let store = DirectoryStore::open(directory.path()).unwrap();
    let now = at("2026-11-30T00:20:00Z");
    for (written, users) in [
        ("2026-11-30T00:19:00Z", 3),
        // Usable until six minutes later, which is within the hour.
        ("2026-11-29T23:15:00Z", 2),
        ("2026-11-29T23:13:00Z", 5),
        ("2026-11-28T23:59:00Z", 5),
    ] {
        let written = at(written);
        let key = limit(1, 1).key(written, id(written), users);
        store.put_once(&key, Bytes::new(), None).await.unwrap();
    }
    for odd in ["x", "0_1", "00000000-0000-0000-0000-000000000000_x"] {
        let odd = ObjectKey(format!("_requests_2026-11-30_{odd}.json"));
        store.put_once(&odd, Bytes::new(), None).await.unwrap();
    }

    let seen = limit(1000, 1).seen(&store, now).await.unwrap();
    assert_eq!(seen.len(), 5, "{seen:?}");
    let users: std::collections::BTreeSet<UserId> = seen.iter().map(|(user, _)| *user).collect();
    assert_eq!(users.len(), 5, "each is another");
    let latest = seen.iter().map(|(_, at)| *at).max();
    assert_eq!(latest, Some(at("2026-11-30T00:25:00Z")));
    // A whole day reaches over midnight.
    let seen = limit(1000, 24).seen(&store, now).await.unwrap();
    assert_eq!(seen.len(), 15);
    let seen = limit(1, 24).seen(&store, now).await.unwrap();
    assert!(seen.len() <= 5, "no more than the limit needs");
}

#[test]
fn a_forged_record_counts_for_a_bounded_number_of_users() {
    let now = Clock::system().now();
    let ahead = limit(1, 1);
    let forged = ahead.key(now, Uuid::now_v7(), u32::MAX);
    assert_eq!(ahead.parse(&forged).unwrap().1, MAX_RECORDED);
}
