//! Lists users: those who still have access, those of a batch, or all with a checkpoint.

mod cursor;
mod in_batch;
mod listed;

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use crate::failure::{Failure, Reason};
use crate::job::{BatchId, UserId};
use crate::machine::StateName;
use crate::ports::batches::{Batches, Known, Standing};
use crate::ports::users::{Asked, UserIndex, WithAccess};
use cursor::Cursor;
use in_batch::in_batch;
pub(crate) use listed::ListedUser;

/// The number of users that are read in one round trip while a filter leaves some out.
const PAGE: usize = 500;
/// The number of users that one call reads at most; a filter that finds none of them answers with a cursor.
const READ_AT_MOST: usize = 50_000;

/// The number of batches, the latest ones, in which a user is looked for who has not begun.
const BATCHES: usize = 20;

/// Which users are meant; all conditions have to hold.
#[derive(Debug, Clone, Default)]
pub(crate) struct UserFilter {
    /// Only users who still have access, the one who was asked for first at the head. Users whose request is cancelled are
    /// left out: nobody asks for them any more.
    pub access: bool,
    /// The last completed step.
    pub state: Option<StateName>,
    /// What the user waits for: a failure code, or the word of a pause.
    pub waiting_for: Option<String>,
    /// What the user waits for, or the reason of the dead letter.
    pub why: Option<String>,
    /// What the user ID begins with.
    pub id_begins: Option<String>,
    pub batch: Option<BatchId>,
}

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

impl UserFilter {
    /// Whether a record has to be read to know whether a user is meant.
    const fn needs_records(&self) -> bool {
        self.access || self.state.is_some() || self.waiting_for.is_some() || self.why.is_some()
    }

    fn admits_id(&self, user_id: UserId) -> bool {
        let begins = self.id_begins.as_ref();
        begins.is_none_or(|begins| {
            let id = user_id.to_string();
            id.starts_with(&begins.trim().to_ascii_lowercase())
        })
    }

    fn admits(&self, user: &ListedUser) -> bool {
        let has_state = self.state.is_none_or(|state| user.state == Some(state));
        let waits = self.waiting_for.as_ref();
        let waits = waits.is_none_or(|wanted| user.waits_for.as_ref() == Some(wanted));
        // Unknown access is shown with those who have it.
        let has_access = !self.access
            || (user.has_access != Some(false) && user.standing != Standing::Cancelled);
        let is_why = self.why.as_ref().is_none_or(|wanted| {
            let dead_letter = user.dead_letter.map(Reason::as_str);
            user.waits_for.as_ref() == Some(wanted) || dead_letter == Some(wanted)
        });
        has_state && waits && has_access && is_why && self.admits_id(user.user_id)
    }
}

/// Why there is no list.
#[derive(Debug)]
pub(crate) enum NoList {
    /// The cursor is not one that these filters gave.
    BadCursor,
    /// The store keeps no batches.
    NoBatches,
    /// There is no such batch.
    NoSuchBatch(BatchId),
    Failed(Failure),
}

impl From<Failure> for NoList {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// Where users are read.
pub(crate) struct UserSources<'a> {
    pub users: &'a dyn UserIndex,
    /// Only a store that processes share keeps batches.
    pub batches: Option<&'a dyn Batches>,
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
/// worker does so within a minute.
pub(crate) async fn access_total(users: &dyn UserIndex) -> Result<AccessTotal, Failure> {
    users.with_access(None, 0).await.map(AccessTotal::from)
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

/// How many users still have access. An index that the store lost is rebuilt first.
async fn complete(users: &dyn UserIndex) -> Result<WithAccess, Failure> {
    let total = users.with_access(None, 0).await?;
    if total.complete_since.is_some() {
        return Ok(total);
    }
    users.rebuild().await?;
    users.with_access(None, 0).await
}

/// Says of users who have not begun in which batch they were submitted: they have no checkpoint that names it.
async fn name_batches(
    sources: &UserSources<'_>,
    listed: Option<&BatchId>,
    users: &mut [ListedUser],
) -> Result<(), Failure> {
    let nameless = |user: &ListedUser| user.state.is_none() && user.batch_id.is_none();
    let wanted = users.iter().filter(|user| nameless(user));
    let wanted: Vec<UserId> = wanted.map(|user| user.user_id).collect();
    let Some(batches) = sources.batches.filter(|_| !wanted.is_empty()) else {
        return Ok(());
    };

    let candidates = match listed {
        Some(batch) => vec![batch.clone()],
        None => {
            let latest = batches.latest(BATCHES).await?;
            latest.into_iter().map(|batch| batch.batch_id).collect()
        }
    };
    for batch in candidates {
        let in_it: BTreeSet<UserId> = batches
            .users_in(&batch, &wanted)
            .await?
            .into_iter()
            .collect();
        for user in users.iter_mut().filter(|user| nameless(user)) {
            if in_it.contains(&user.user_id) {
                user.batch_id = Some(batch.clone());
            }
        }
    }
    Ok(())
}

struct Page<'a> {
    users: Vec<ListedUser>,
    filter: &'a UserFilter,
    limit: usize,
    now: Timestamp,
}

impl Page<'_> {
    /// Adds the user if the filter admits it.
    fn offer(&mut self, user_id: UserId, known: &Known, asked_at: Option<Timestamp>) {
        let user = ListedUser::of(user_id, known, asked_at, self.now);
        if self.filter.admits(&user) {
            self.users.push(user);
        }
    }

    const fn is_full(&self) -> bool {
        self.users.len() >= self.limit
    }

    const fn missing(&self) -> usize {
        self.limit.saturating_sub(self.users.len())
    }
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
            if matches!(known, Known::Summary(summary) if summary.access_since().is_none()) {
                wrong.push(asked.user_id);
            }
            page.offer(asked.user_id, known, Some(asked.at));
        }
        // A worker of an earlier release saved them, and knows of no index.
        users.correct(&wrong).await?;

        if found.len() < count {
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
