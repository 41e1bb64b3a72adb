//! Lists users: those who still have access, those of a batch, or all with a checkpoint.

mod cursor;
mod in_batch;
mod listed;
mod name_batches;
mod page;

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::Serialize;
use tokio::sync::Mutex;
use utoipa::ToSchema;

use super::part::WhyUnknown;
use crate::failure::Failure;
use crate::job::UserId;
use crate::ports::batches::Known;
use crate::ports::users::{Asked, UserIndex, WithAccess};
use cursor::Cursor;
use in_batch::in_batch;
pub(crate) use listed::ListedUser;
use name_batches::name_batches;
pub(crate) use page::{NoList, RemovalTime, UserFilter, UserSources};
use page::{PAGE, Page, READ_AT_MOST};

/// Users, and who still has access in all
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct UserPage {
    /// The time of these facts.
    #[schema(value_type = String, format = DateTime)]
    pub as_of: Timestamp,
    /// The users.
    pub users: Vec<ListedUser>,
    /// Where the next page begins; null after the last one.
    pub next_cursor: Option<String>,
    /// All users who still have access, whatever the filter is; null if the list is that of a batch.
    pub access: Option<AccessTotal>,
}

/// All users who still have access
///
/// Users whose messages no worker has taken and who were not sent by `offboarder submit` are not known yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AccessTotal {
    /// How many there are.
    pub users: u64,
    /// When the first of them was asked for.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub since: Option<Timestamp>,
    /// Since when every request is known. Requests before it are known if a worker took them; null if the index is being
    /// rebuilt.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub complete_since: Option<Timestamp>,
}

/// A page of at most `limit` users.
pub(crate) async fn list(
    sources: &UserSources<'_>,
    filter: &UserFilter,
    cursor: Option<&str>,
    limit: usize,
    now: Timestamp,
) -> Result<UserPage, NoList> {
    let cursor = match cursor.map(Cursor::parse) {
        Some(None) => return Err(NoList::BadCursor),
        Some(cursor) => cursor,
        None => None,
    };
    let mut page = Page {
        users: Vec::new(),
        filter,
        limit: limit.max(1),
        now,
    };

    let mut access = None;
    let next = match (&filter.batch, filter.access, cursor) {
        (Some(batch), _, None) => in_batch(sources, batch, (0, None), &mut page).await?,
        (Some(batch), _, Some(Cursor::Batch(from, behind))) => {
            in_batch(sources, batch, (from, behind), &mut page).await?
        }
        (None, true, None) => {
            access = Some(complete(sources.users).await?);
            with_access(sources.users, None, &mut page).await?
        }
        (None, true, Some(Cursor::Access(after))) => {
            access = Some(complete(sources.users).await?);
            with_access(sources.users, Some(after), &mut page).await?
        }
        (None, false, None) => everyone(sources.users, None, None, &mut page).await?,
        (None, false, Some(Cursor::Scan(from, behind))) => {
            everyone(sources.users, from, behind, &mut page).await?
        }
        (_, _, Some(_)) => return Err(NoList::BadCursor),
    };
    let mut users = page.users;
    name_batches(sources, filter.batch.as_ref(), &mut users).await?;
    Ok(UserPage {
        as_of: now,
        users,
        next_cursor: next.map(|next| next.text()),
        access: access.map(AccessTotal::from),
    })
}

/// All users who still have access, counted. An index that the store lost is not rebuilt here, since that takes long: a
/// worker does so within a minute. Until then their number is unknown.
pub(crate) async fn access_total(users: &dyn UserIndex) -> Result<AccessTotal, WhyUnknown> {
    let total = users.with_access(None, 0).await?;
    if total.complete_since.is_none() {
        return Err(WhyUnknown::being_rebuilt());
    }
    Ok(total.into())
}

impl From<WithAccess> for AccessTotal {
    fn from(total: WithAccess) -> Self {
        Self {
            users: total.total,
            since: total.first,
            complete_since: total.complete_since,
        }
    }
}

/// A rebuild reads all checkpoints, so this process never makes two at a time, however many ask.
static REBUILDING: Mutex<()> = Mutex::const_new(());

/// How many users still have access. An index that the store lost is rebuilt first.
async fn complete(users: &dyn UserIndex) -> Result<WithAccess, Failure> {
    let total = users.with_access(None, 0).await?;
    if total.complete_since.is_some() {
        return Ok(total);
    }
    let _turn = REBUILDING.lock().await;
    // Who waited finds what the one before has rebuilt.
    let total = users.with_access(None, 0).await?;
    if total.complete_since.is_some() {
        return Ok(total);
    }
    users.rebuild().await?;
    users.with_access(None, 0).await
}

async fn with_access(
    users: &dyn UserIndex,
    mut after: Option<Asked>,
    page: &mut Page<'_>,
) -> Result<Option<Cursor>, NoList> {
    let mut read = 0;
    while !page.is_full() && read < READ_AT_MOST {
        let count = page.missing().min(PAGE);
        let found = users.with_access(after, count).await?.users;
        let ids: Vec<UserId> = found.iter().map(|asked| asked.user_id).collect();
        let summaries = users.summaries(&ids).await?;

        let mut wrong = Vec::new();
        for (asked, known) in found.iter().zip(&summaries) {
            if matches!(known, Known::Summary(summary) if !summary.has_access()) {
                wrong.push(asked.user_id);
            }
            page.offer(asked.user_id, known, Some(asked.at));
        }
        // A worker of an earlier release saved them, and knows of no index.
        users.correct(&wrong).await?;

        // They come in the order in which they were asked for.
        let is_past = found
            .last()
            .is_some_and(|last| page.filter.is_past(last.at));
        if found.len() < count || is_past {
            return Ok(None);
        }
        after = found.last().copied();
        read += count;
    }
    Ok(after.map(Cursor::Access))
}

async fn everyone(
    users: &dyn UserIndex,
    mut from: Option<String>,
    mut behind: Option<UserId>,
    page: &mut Page<'_>,
) -> Result<Option<Cursor>, NoList> {
    let mut read = 0;
    loop {
        let scanned = users.scan(from.as_deref(), PAGE).await?;
        // One page of a scan may name a user twice, and be larger than what is asked for.
        let ids: BTreeSet<UserId> = scanned.users.into_iter().collect();
        let ids: Vec<UserId> = ids
            .into_iter()
            .filter(|user_id| behind.is_none_or(|behind| *user_id > behind))
            .collect();
        let summaries = users.summaries(&ids).await?;
        for (user_id, known) in ids.iter().zip(&summaries) {
            if page.is_full() {
                return Ok(Some(Cursor::Scan(from, behind)));
            }
            behind = Some(*user_id);
            // The checkpoint expired in between.
            if *known != Known::Nothing {
                page.offer(*user_id, known, None);
            }
        }

        read += PAGE;
        behind = None;
        from = scanned.next;
        if from.is_none() {
            return Ok(None);
        }
        if page.is_full() || read >= READ_AT_MOST {
            return Ok(Some(Cursor::Scan(from, None)));
        }
    }
}

#[cfg(test)]
mod tests;
