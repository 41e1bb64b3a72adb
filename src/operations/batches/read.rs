use futures_util::{StreamExt as _, stream};
use jiff::Timestamp;

use super::history::{Periods, Sums};
use super::{BatchSeries, Overview, Reported, Standing, Tally};
use crate::failure::Failure;
use crate::job::{BatchId, UserId};
use crate::operations::users::UserFilter;
use crate::ports::FileColumns;
use crate::ports::batches::{Batches, KnownPage, Members, Record};

/// The number of users who are read in one round trip.
const PAGE: usize = 2000;

/// The number of pages that are asked for at once. Other requests to the store come in between.
const PAGES_AT_ONCE: usize = 3;

/// The number of whole checkpoints that are read in one round trip.
const PAGE_WHOLE: usize = 500;

/// What one pass over all users of a batch finds.
#[derive(Debug)]
pub(crate) struct Reading {
    pub overview: Overview,
    /// Of the last 48 hours.
    pub series: BatchSeries,
    pub periods: Periods,
}

/// Reads all users of a batch. `None` if the batch does not exist.
pub(crate) async fn read(
    batches: &dyn Batches,
    batch: &BatchId,
    now: Timestamp,
) -> Result<Option<Reading>, Failure> {
    let Some(begun_at) = batches.begun_at(batch).await? else {
        return Ok(None);
    };
    let mut tally = Tally::new(batch.clone(), Some(begun_at), now);
    let mut series = BatchSeries::new(batch.clone(), now);
    let mut sums = Sums::new(batch.clone(), begun_at, now);
    let mut add = |page: KnownPage| {
        if let Some(since) = page.not_begun_since {
            tally.add_not_begun(page.not_begun, since);
        }
        for (known, added_at) in &page.users {
            tally.add(known, *added_at);
            series.add(known);
            sums.add(known);
        }
        page.next
    };

    let mut next = add(batches.known_page(batch, 0, PAGE).await?);
    if let Some(from) = next {
        // The store reads a page while the one before is added up.
        let mut pages = stream::iter((from..).step_by(PAGE))
            .map(|from| batches.known_page(batch, from, PAGE))
            .buffered(PAGES_AT_ONCE);
        while next.is_some()
            && let Some(page) = pages.next().await
        {
            next = add(page?);
        }
    }
    Ok(Some(Reading {
        overview: tally.finish(),
        series,
        periods: sums.finish(),
    }))
}

/// A page of the report of a batch: the rows from position `from` on, and the position of the next page. The batch keeps
/// the summary of a checkpoint that has expired. Who is not meant by the filter has no row, so that a page may have none.
pub(crate) async fn report(
    batches: &dyn Batches,
    batch: &BatchId,
    filter: &UserFilter,
    from: usize,
    now: Timestamp,
) -> Result<(Vec<Reported>, Option<usize>), Failure> {
    let page = batches.page(batch, from, PAGE_WHOLE).await?;
    let next = page.next;
    let users = meant(batches, batch, filter, page, now).await?;
    let records = batches.records(batch, &users).await?;
    let columns = batches.columns(batch, &users).await?;

    let rows = users.into_iter().zip(records).zip(columns);
    let rows = rows.map(|((user_id, record), columns)| {
        let row = match record {
            Record::Checkpoint(checkpoint) => Reported::of(&checkpoint, now),
            Record::Summary(summary) => Reported::of_summary(user_id, summary, now),
            Record::Nothing => Reported::unknown(user_id, Standing::NotBegun),
            Record::Unreadable => Reported::unknown(user_id, Standing::Unreadable),
        };
        Reported { columns, ..row }
    });
    Ok((rows.collect(), next))
}

/// Those whom the filter means; their short records are enough to know.
async fn meant(
    batches: &dyn Batches,
    batch: &BatchId,
    filter: &UserFilter,
    members: Members,
    now: Timestamp,
) -> Result<Vec<UserId>, Failure> {
    if filter.admits_all() || members.users.is_empty() {
        return Ok(members.users);
    }
    let summaries = batches.summaries(batch, &members.users).await?;
    let users = members.users.into_iter().zip(members.added_at);
    let users = users
        .zip(&summaries)
        .filter(|((user_id, added_at), known)| {
            filter.admits_known(*user_id, known, Some(*added_at), now)
        });
    Ok(users.map(|((user_id, _), _)| user_id).collect())
}

/// The names of the columns of input files that are kept with a batch, as far as a report shows them: of several files
/// with other names, the first sixteen.
pub(crate) async fn column_names(
    batches: &dyn Batches,
    batch: &BatchId,
) -> Result<Vec<String>, Failure> {
    let mut names: Vec<String> = Vec::new();
    let mut from = 0;
    loop {
        let page = batches.page(batch, from, PAGE).await?;
        for columns in batches.columns(batch, &page.users).await? {
            for name in columns.names() {
                if names.len() < FileColumns::MOST && !names.iter().any(|known| known == name) {
                    names.push(name.to_owned());
                }
            }
        }
        match page.next {
            Some(next) => from = next,
            None => return Ok(names),
        }
    }
}
