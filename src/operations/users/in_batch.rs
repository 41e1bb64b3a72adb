use jiff::Timestamp;

use super::cursor::Cursor;
use super::page::{NoList, PAGE, Page, READ_AT_MOST, UserSources};
use crate::job::{BatchId, UserId};
use crate::ports::batches::{Batches, Members};

/// The users of a batch, from a place on: a position, and the user behind whom the page begins. A user who is added while
/// pages are read never moves another one to a page that was read, or away from one that was not.
pub(super) async fn in_batch(
    sources: &UserSources<'_>,
    batch: &BatchId,
    place: (usize, Option<UserId>),
    page: &mut Page<'_>,
) -> Result<Option<Cursor>, NoList> {
    let batches = sources.batches.ok_or(NoList::NoBatches)?;
    if batches.begun_at(batch).await?.is_none() {
        return Err(NoList::NoSuchBatch(batch.clone()));
    }
    let mut from = place.0;
    let mut behind = place.1;
    if let Some(behind) = behind {
        from = found_again(batches, batch, from, behind).await?;
    }

    let mut read = 0;
    loop {
        let count = match behind {
            _ if page.filter.needs_records() || page.filter.id_begins.is_some() => PAGE,
            Some(_) => page.missing().saturating_add(1).min(PAGE),
            None => page.missing().min(PAGE),
        };
        let members = batches.page(batch, from, count).await?;
        let next = members.next;
        let found = wanted(members, behind.take(), page);
        let wanted = found.users;
        let ids: Vec<UserId> = wanted.iter().map(|(_, user_id, _)| *user_id).collect();
        let summaries = batches.summaries(batch, &ids).await?;
        for ((index, user_id, added_at), known) in wanted.iter().zip(&summaries) {
            page.offer(*user_id, known, Some(*added_at));
            if page.is_full() {
                let is_last = next.is_none() && !found.is_cut && ids.last() == Some(user_id);
                let cursor = Cursor::Batch(from + index, Some(*user_id));
                return Ok((!is_last).then_some(cursor));
            }
        }

        match next {
            None => return Ok(None),
            Some(next) => from = next,
        }
        read += count;
        if read >= READ_AT_MOST {
            return Ok(Some(Cursor::Batch(from, None)));
        }
    }
}

/// Those of a page whose records have to be read.
struct Wanted {
    /// With their place on the page, and when they were added.
    users: Vec<(usize, UserId, Timestamp)>,
    /// There are more on the page.
    is_cut: bool,
}

fn wanted(members: Members, behind: Option<UserId>, page: &Page<'_>) -> Wanted {
    let mut users = members.users.iter();
    let seen = behind.and_then(|behind| users.position(|user_id| *user_id == behind));
    let first = seen.map_or(0, |seen| seen + 1);
    let users = members.users.into_iter().zip(members.added_at).enumerate();
    let mut wanted: Vec<(usize, UserId, Timestamp)> = users
        .skip(first)
        .map(|(index, (user_id, added_at))| (index, user_id, added_at))
        .filter(|(_, user_id, _)| page.filter.admits_id(*user_id))
        .collect();
    let is_cut = !page.filter.needs_records() && wanted.len() > page.missing();
    if is_cut {
        wanted.truncate(page.missing());
    }
    Wanted {
        users: wanted,
        is_cut,
    }
}

/// The position of a user who was at `from`. One who is in the batch no more leaves the position as it was.
async fn found_again(
    batches: &dyn Batches,
    batch: &BatchId,
    from: usize,
    behind: UserId,
) -> Result<usize, NoList> {
    let there = batches.page(batch, from, 1).await?;
    if there.users == [behind] {
        return Ok(from);
    }
    Ok(batches.position(batch, behind).await?.unwrap_or(from))
}

#[cfg(test)]
#[path = "in_batch_tests.rs"]
mod tests;
