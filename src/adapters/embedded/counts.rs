//! The counts of the rate limits: users by time, and for how long a count is complete.

use std::time::Duration;

use jiff::Timestamp;
use redb::{Database, ReadableTable as _, TableDefinition, WriteTransaction};

use crate::job::UserId;
use crate::limits::RateLimit;
use crate::ports::{Admission, CountOf};

/// The count is complete for that many milliseconds.
const REACH: TableDefinition<'_, &str, i64> = TableDefinition::new("deletions_reach");

/// Who was counted, and when, in milliseconds since 1970. `seen:USER` was concluded from the archive
/// store.
fn table_of(of: CountOf) -> String {
    match of {
        CountOf::Deletions => "deletions".to_owned(),
        CountOf::Requests => "requests".to_owned(),
        CountOf::Unapproved(requester) => format!("unapproved:{requester}"),
    }
}

const fn definition(table: &str) -> TableDefinition<'_, &'static str, i64> {
    TableDefinition::new(table)
}

/// The row of [`REACH`].
fn window_of(of: CountOf) -> String {
    match of {
        CountOf::Deletions => "window".to_owned(),
        CountOf::Requests | CountOf::Unapproved(_) => table_of(of),
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

fn window(writing: &WriteTransaction, of: CountOf) -> Result<i64, redb::Error> {
    Ok(writing
        .open_table(REACH)?
        .get(window_of(of).as_str())?
        .map_or(0, |window| window.value()))
}

pub(super) fn reaches(
    database: &Database,
    of: CountOf,
    reach: Duration,
) -> Result<bool, redb::Error> {
    Ok(window(&database.begin_write()?, of)? >= millis(reach))
}

pub(super) fn admit(
    database: &Database,
    of: CountOf,
    user_id: UserId,
    limit: RateLimit,
    now: Timestamp,
) -> Result<Admission, redb::Error> {
    let now = now.as_millisecond();
    let per = millis(limit.per);
    let writing = database.begin_write()?;
    let window = window(&writing, of)?;
    if window < per {
        writing.abort()?;
        return Ok(Admission::Unknown);
    }

    let admission = {
        let name = table_of(of);
        let mut table = writing.open_table(definition(&name))?;
        table.retain(|_, at| at > now.saturating_sub(window))?;
        let key = user_id.to_string();
        let since = now.saturating_sub(per);
        // A user who asks for a deletion was not deleted yet.
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
            .checked_sub(usize::try_from(limit.count).unwrap_or(usize::MAX));
        match over.and_then(|over| times.get(over)) {
            _ if own.is_some() => Admission::Counted,
            Some(next) => {
                let wait_ms = next.saturating_add(per).saturating_sub(now).clamp(1, per);
                Admission::Wait(Duration::from_millis(wait_ms.unsigned_abs()))
            }
            None => {
                table.insert(key.as_str(), now)?;
                Admission::Counted
            }
        }
    };
    writing.commit()?;
    Ok(admission)
}

pub(super) fn restore(
    database: &Database,
    of: CountOf,
    reach: Duration,
    deletions: &[(UserId, Timestamp)],
) -> Result<(), redb::Error> {
    let writing = database.begin_write()?;
    let reach = window(&writing, of)?.max(millis(reach));

    {
        let name = table_of(of);
        let mut table = writing.open_table(definition(&name))?;
        for (user_id, at) in deletions {
            let key = seen(*user_id);
            let at = at.as_millisecond();
            let known = table.get(user_id.to_string().as_str())?.is_some();
            let before = table.get(key.as_str())?.map(|at| at.value());
            if !known && before.is_none_or(|before| before < at) {
                table.insert(key.as_str(), at)?;
            }
        }
        writing
            .open_table(REACH)?
            .insert(window_of(of).as_str(), reach)?;
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
    use crate::clock::Clock;
    use crate::ports::Checkpoints as _;

    const HOUR: Duration = Duration::from_hours(1);

    fn user(number: u32) -> UserId {
        format!("{number:08x}-9a51-4b4b-8f6c-1f9a4f9b7c11")
            .parse()
            .unwrap()
    }

    #[tokio::test]
    async fn the_count_outlives_the_process() {
        let directory = tempfile::tempdir().unwrap();
        let limit = RateLimit {
            count: 2,
            per: HOUR,
        };
        {
            let store = EmbeddedCheckpoints::open(directory.path(), Clock::system()).unwrap();
            assert_eq!(
                store
                    .admit(CountOf::Deletions, user(1), limit)
                    .await
                    .unwrap(),
                Admission::Unknown
            );
            store
                .restore_count(CountOf::Deletions, HOUR, &[])
                .await
                .unwrap();
            for number in [1, 2, 1, 2] {
                assert_eq!(
                    store
                        .admit(CountOf::Deletions, user(number), limit)
                        .await
                        .unwrap(),
                    Admission::Counted,
                    "{number}"
                );
            }
        }
        let store = EmbeddedCheckpoints::open(directory.path(), Clock::system()).unwrap();
        let Admission::Wait(wait) = store
            .admit(CountOf::Deletions, user(3), limit)
            .await
            .unwrap()
        else {
            panic!("two of two")
        };
        assert!(wait > Duration::from_mins(59) && wait <= HOUR, "{wait:?}");
        let longer = RateLimit {
            count: 2,
            per: HOUR * 2,
        };
        assert_eq!(
            store
                .admit(CountOf::Deletions, user(3), longer)
                .await
                .unwrap(),
            Admission::Unknown,
            "the count is not complete for two hours"
        );
    }

    #[test]
    fn restored_deletions_count_until_their_user_asks() {
        let directory = tempfile::tempdir().unwrap();
        let database = Database::create(directory.path().join("x")).unwrap();
        let now = Timestamp::from_second(1_000_000).unwrap();
        let limit = RateLimit {
            count: 2,
            per: HOUR,
        };
        restore(
            &database,
            CountOf::Deletions,
            HOUR,
            &[(user(1), now), (user(2), now), (user(9), now)],
        )
        .unwrap();
        let count = |number, seconds: i64| {
            let at = Timestamp::from_second(1_000_000 + seconds).unwrap();
            admit(&database, CountOf::Deletions, user(number), limit, at).unwrap()
        };
        assert_eq!(
            count(1, 0),
            Admission::Wait(HOUR),
            "two others count, and its own restored deletion does not admit it"
        );
        assert_eq!(count(2, 600), Admission::Counted, "one other counts");
        assert_eq!(count(2, 700), Admission::Counted, "it was counted");
        assert_eq!(
            count(1, 3599),
            Admission::Wait(Duration::from_secs(1)),
            "until the restored deletion of user 9 is old"
        );
        assert_eq!(count(1, 3600), Admission::Counted);
        assert_eq!(count(3, 3600), Admission::Wait(Duration::from_mins(10)));
    }
}
