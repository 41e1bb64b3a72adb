//! The count of the brake, as in Redis: deletions by time, and how far back they reach.

use std::time::Duration;

use jiff::Timestamp;
use redb::{Database, ReadableTable as _, TableDefinition, WriteTransaction};

use crate::job::UserId;
use crate::limits::DeletionRateLimit;
use crate::ports::DeletionAdmission;

/// Who was deleted, and when, in milliseconds since 1970. `seen:USER` was concluded from the archive store.
const DELETIONS: TableDefinition<'_, &str, i64> = TableDefinition::new("deletions");
/// `window`: no deletion of so many milliseconds is missing.
const REACH: TableDefinition<'_, &str, i64> = TableDefinition::new("deletions_reach");
const WINDOW: &str = "window";

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

fn window(writing: &WriteTransaction) -> Result<i64, redb::Error> {
    Ok(writing
        .open_table(REACH)?
        .get(WINDOW)?
        .map_or(0, |window| window.value()))
}

pub(super) fn reaches(database: &Database, reach: Duration) -> Result<bool, redb::Error> {
    Ok(window(&database.begin_write()?)? >= millis(reach))
}

pub(super) fn count(
    database: &Database,
    user_id: UserId,
    brake: DeletionRateLimit,
    now: Timestamp,
) -> Result<DeletionAdmission, redb::Error> {
    let (now, per) = (now.as_millisecond(), millis(brake.per));
    let writing = database.begin_write()?;
    let window = window(&writing)?;
    if window < per {
        writing.abort()?;
        return Ok(DeletionAdmission::Unknown);
    }
    let braking = {
        let mut table = writing.open_table(DELETIONS)?;
        table.retain(|_, at| at > now.saturating_sub(window))?;
        let key = user_id.to_string();
        let since = now.saturating_sub(per);
        // Whoever asks was not deleted yet.
        table.remove(seen(user_id).as_str())?;
        let own = table
            .get(key.as_str())?
            .map(|at| at.value())
            .filter(|at| *at > since);
        let times = table.iter()?.map(|row| Ok(row?.1.value()));
        let mut times = times.collect::<Result<Vec<i64>, redb::StorageError>>()?;
        times.retain(|at| *at > since);
        times.sort_unstable();
        let over = times
            .len()
            .checked_sub(usize::try_from(brake.count).unwrap_or(usize::MAX));
        match over.and_then(|over| times.get(over)) {
            _ if own.is_some() => DeletionAdmission::Counted,
            Some(next) => {
                let wait_ms = next.saturating_add(per).saturating_sub(now).clamp(1, per);
                DeletionAdmission::Wait(Duration::from_millis(wait_ms.unsigned_abs()))
            }
            None => {
                table.insert(key.as_str(), now)?;
                DeletionAdmission::Counted
            }
        }
    };
    writing.commit()?;
    Ok(braking)
}

pub(super) fn restore(
    database: &Database,
    reach: Duration,
    deletions: &[(UserId, Timestamp)],
) -> Result<(), redb::Error> {
    let writing = database.begin_write()?;
    let reach = window(&writing)?.max(millis(reach));
    {
        let mut table = writing.open_table(DELETIONS)?;
        for (user_id, at) in deletions {
            let (key, at) = (seen(*user_id), at.as_millisecond());
            let known = table.get(user_id.to_string().as_str())?.is_some();
            let before = table.get(key.as_str())?.map(|at| at.value());
            if !known && before.is_none_or(|before| before < at) {
                table.insert(key.as_str(), at)?;
            }
        }
        writing.open_table(REACH)?.insert(WINDOW, reach)?;
    }
    Ok(writing.commit()?)
}

fn seen(user_id: UserId) -> String {
    format!("seen:{user_id}")
}

#[cfg(test)]
mod tests {
    use super::super::EmbeddedCheckpoints;
    use super::*;
    use crate::ports::Checkpoints as _;

    const HOUR: Duration = Duration::from_hours(1);

    fn user(number: u32) -> UserId {
        format!("{number:08x}-9a51-4b4b-8f6c-1f9a4f9b7c11")
            .parse()
            .unwrap()
    }

    #[tokio::test]
    async fn the_brake_counts_users_once_says_when_to_ask_again_and_outlives_the_process() {
        let directory = tempfile::tempdir().unwrap();
        let brake = DeletionRateLimit {
            count: 2,
            per: HOUR,
        };
        {
            let store = EmbeddedCheckpoints::open(directory.path()).unwrap();
            assert_eq!(
                store.brake(user(1), brake).await.unwrap(),
                DeletionAdmission::Unknown
            );
            store.restore_brake(HOUR, &[]).await.unwrap();
            for number in [1, 2, 1, 2] {
                assert_eq!(
                    store.brake(user(number), brake).await.unwrap(),
                    DeletionAdmission::Counted,
                    "{number}"
                );
            }
        }
        let store = EmbeddedCheckpoints::open(directory.path()).unwrap();
        let DeletionAdmission::Wait(wait) = store.brake(user(3), brake).await.unwrap() else {
            panic!("two of two")
        };
        assert!(wait > Duration::from_mins(59) && wait <= HOUR, "{wait:?}");
        let longer = DeletionRateLimit {
            count: 2,
            per: HOUR * 2,
        };
        assert_eq!(
            store.brake(user(3), longer).await.unwrap(),
            DeletionAdmission::Unknown,
            "it does not reach so far"
        );
    }

    #[test]
    fn users_seen_in_the_store_count_until_they_ask_themselves() {
        let directory = tempfile::tempdir().unwrap();
        let database = Database::create(directory.path().join("x")).unwrap();
        let (now, brake) = (
            Timestamp::from_second(1_000_000).unwrap(),
            DeletionRateLimit {
                count: 2,
                per: HOUR,
            },
        );
        restore(
            &database,
            HOUR,
            &[(user(1), now), (user(2), now), (user(9), now)],
        )
        .unwrap();
        let count = |number, seconds: i64| {
            let at = Timestamp::from_second(1_000_000 + seconds).unwrap();
            super::count(&database, user(number), brake, at).unwrap()
        };
        assert_eq!(
            count(1, 0),
            DeletionAdmission::Wait(HOUR),
            "two others count, and its own trace is no leave"
        );
        assert_eq!(
            count(2, 600),
            DeletionAdmission::Counted,
            "one other counts"
        );
        assert_eq!(count(2, 700), DeletionAdmission::Counted, "it was counted");
        assert_eq!(
            count(1, 3599),
            DeletionAdmission::Wait(Duration::from_secs(1)),
            "until the trace of the ninth is old"
        );
        assert_eq!(count(1, 3600), DeletionAdmission::Counted);
        assert_eq!(
            count(3, 3600),
            DeletionAdmission::Wait(Duration::from_mins(10))
        );
    }
}
