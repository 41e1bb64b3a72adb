//! Finds what a text names: a user, a batch, a dead letter, an entry of the audit log. The work is bounded, and the answer
//! says what was not searched.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::dead_letters::{self, DeadLetter, DeadLetterFilter};
use super::part::{WhyUnknown, within};
use super::status::{Requests, UserStatus};
use crate::clock::Clock;
use crate::job::UserId;
use crate::machine::StateName;
use crate::ports::batches::Listed;
use crate::ports::queue::Broker;
use crate::ports::users::UserIndex;
use crate::ports::{ArchiveStore, SharedStores};
use crate::registers::audit_log::{AuditEntry, AuditLog};

/// The time limit of each search.
const WITHIN: Duration = Duration::from_secs(5);
/// How many of each kind are named.
const NAMED: usize = 20;
/// How many users with access, and how many checkpoints, are compared with the beginning of an ID.
const COMPARED: usize = 20_000;
const PAGE: usize = 1000;
/// How many of the newest batches are compared.
const BATCHES: usize = 1000;
/// The shortest beginning of a user ID with which the archive store is listed.
const LISTED_FROM: usize = 8;
/// The shortest beginning of a user ID that is searched.
const SHORTEST: usize = 4;

/// What a text names
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Found {
    /// When it was read.
    #[schema(value_type = String, format = DateTime)]
    pub as_of: Timestamp,
    /// Users with this ID, or whose IDs begin so; at most 20.
    pub users: Vec<FoundUser>,
    /// Batches whose names begin so, newest first; at most 20.
    pub batches: Vec<Listed>,
    /// Dead letters of this ID or of this user; at most 20.
    #[serde(rename = "letters")]
    pub dead_letters: Vec<DeadLetter>,
    /// Entries of the audit log with this ID.
    pub audit_log: Vec<AuditEntry>,
    /// What was not searched, or only in part. What is missing above may be there.
    pub not_searched: Vec<NotSearched>,
}

/// A user that was found
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct FoundUser {
    pub user_id: UserId,
    /// The last completed step; null if no worker has taken the user, or if only the beginning of the ID was given.
    pub state: Option<StateName>,
}

/// Something that was not searched
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct NotSearched {
    /// What, for people.
    #[schema(value_type = String, example = "dead letters")]
    pub what: &'static str,
    /// Why.
    pub why: WhyUnknown,
}

/// Where is searched.
pub(crate) struct FindSources<'a> {
    pub stores: &'a SharedStores,
    pub archive_store: &'a Arc<dyn ArchiveStore>,
    pub broker: &'a dyn Broker,
    pub clock: &'a Clock,
}

/// Searches for what this text names.
pub(crate) async fn find(sources: &FindSources<'_>, text: &str) -> Found {
    let text = text.trim();
    let (users, batches, dead_letters, entries) = tokio::join!(
        users(sources, text),
        batches(sources, text),
        letters(sources, text),
        entries(sources, text),
    );
    let mut found = Found {
        as_of: sources.clock.now(),
        users: Vec::new(),
        batches: Vec::new(),
        dead_letters: Vec::new(),
        audit_log: Vec::new(),
        not_searched: Vec::new(),
    };
    let gaps = &mut found.not_searched;
    found.users = users.taken(gaps);
    found.batches = batches.taken(gaps);
    found.dead_letters = dead_letters.taken(gaps);
    found.audit_log = entries.taken(gaps);
    found
}

/// What one search found, and what it left out.
struct Search<T> {
    found: Vec<T>,
    gaps: Vec<NotSearched>,
}

impl<T> Search<T> {
    const fn nothing() -> Self {
        Self {
            found: Vec::new(),
            gaps: Vec::new(),
        }
    }

    fn skip(&mut self, what: &'static str, why: &str) {
        let why = WhyUnknown::new("not_searched", why);
        self.gaps.push(NotSearched { what, why });
    }

    /// Takes what was read, or why it was not.
    fn take<U>(&mut self, what: &'static str, read: Result<U, WhyUnknown>) -> Option<U> {
        match read {
            Ok(read) => Some(read),
            Err(why) => {
                self.gaps.push(NotSearched { what, why });
                None
            }
        }
    }

    fn taken(self, gaps: &mut Vec<NotSearched>) -> Vec<T> {
        gaps.extend(self.gaps);
        self.found
    }
}

async fn users(sources: &FindSources<'_>, text: &str) -> Search<FoundUser> {
    let mut search = Search::nothing();
    if let Ok(user_id) = text.parse::<UserId>() {
        let requests = Requests {
            users: &*sources.stores.users,
            batches: Some(&*sources.stores.batches),
        };
        let checkpoints = &*sources.stores.checkpoints;
        let reading = UserStatus::look_up(user_id, checkpoints, sources.archive_store, &requests);
        let status = search.take("users", within(WITHIN, reading).await);
        if let Some(status) = status.filter(|status| !status.is_unknown()) {
            let state = status.state;
            search.found.push(FoundUser { user_id, state });
        }
        return search;
    }

    let begins = text.to_ascii_lowercase();
    let is_begin = begins
        .chars()
        .all(|one| one.is_ascii_hexdigit() || one == '-');
    if !is_begin || begins.len() < SHORTEST {
        let why = "the text is not the beginning of a user ID: give at least 4 digits of it";
        search.skip("users", why);
        return search;
    }
    let mut ids = BTreeSet::new();
    let (index, checkpoints, objects) = tokio::join!(
        within(WITHIN, with_access(&*sources.stores.users, &begins)),
        within(WITHIN, with_checkpoint(&*sources.stores.users, &begins)),
        within(WITHIN, with_objects(sources, &begins)),
    );
    for (what, compared) in [
        ("users with access", index),
        ("users with a checkpoint", checkpoints),
    ] {
        if let Some(compared) = search.take(what, compared) {
            ids.extend(compared.found);
            if compared.is_incomplete {
                let why = WhyUnknown::being_rebuilt();
                search.gaps.push(NotSearched { what, why });
            }
            if compared.is_cut {
                search.skip(what, "there are more than 20,000; give the whole ID");
            }
        }
    }
    match search.take("users with archived objects", objects) {
        Some(Some(found)) => ids.extend(found),
        Some(None) => search.skip(
            "users with archived objects",
            "give at least 8 digits of the ID",
        ),
        None => {}
    }
    if ids.len() > NAMED {
        search.skip("users", "more than 20 IDs begin so; give more digits");
    }
    let named = ids.into_iter().take(NAMED);
    search.found.extend(named.map(|user_id| FoundUser {
        user_id,
        state: None,
    }));
    search
}

struct Compared {
    found: Vec<UserId>,
    is_cut: bool,
    /// The store lost the index, so users are missing in it.
    is_incomplete: bool,
}

impl Compared {
    fn add(&mut self, user_id: UserId, begins: &str) {
        if user_id.to_string().starts_with(begins) {
            self.found.push(user_id);
        }
    }
}

async fn with_access(users: &dyn UserIndex, begins: &str) -> Result<Compared, WhyUnknown> {
    let page = users.with_access(None, COMPARED).await?;
    let mut compared = Compared {
        found: Vec::new(),
        is_cut: page.total > COMPARED as u64,
        is_incomplete: page.complete_since.is_none(),
    };
    for asked in page.users {
        compared.add(asked.user_id, begins);
    }
    Ok(compared)
}

async fn with_checkpoint(users: &dyn UserIndex, begins: &str) -> Result<Compared, WhyUnknown> {
    let mut compared = Compared {
        found: Vec::new(),
        is_cut: false,
        is_incomplete: false,
    };
    let mut from: Option<String> = None;
    let mut read = 0;
    loop {
        let scanned = users.scan(from.as_deref(), PAGE).await?;
        for user_id in scanned.users {
            compared.add(user_id, begins);
        }
        read += PAGE;
        from = scanned.next;
        compared.is_cut = from.is_some();
        if from.is_none() || read >= COMPARED {
            return Ok(compared);
        }
    }
}

/// `None`: too many IDs may begin so, and the store is not listed.
async fn with_objects(
    sources: &FindSources<'_>,
    begins: &str,
) -> Result<Option<Vec<UserId>>, WhyUnknown> {
    if begins.len() < LISTED_FROM {
        return Ok(None);
    }
    let keys = sources.archive_store.keys(begins).await?;
    let users = keys.iter().filter_map(|key| {
        let id = key.as_str().get(..36)?;
        id.parse().ok()
    });
    Ok(Some(users.collect()))
}

async fn batches(sources: &FindSources<'_>, text: &str) -> Search<Listed> {
    let mut search = Search::nothing();
    let listing = within(WITHIN, sources.stores.batches.listed(None, BATCHES)).await;
    let Some((listed, more)) = search.take("batches", listing) else {
        return search;
    };
    if more.is_some() {
        let why = "only the newest 1,000 batches were compared";
        search.skip("older batches", why);
    }
    let begins = |batch: &Listed| batch.batch_id.to_string().starts_with(text);
    let named = listed.into_iter().filter(begins).take(NAMED);
    search.found.extend(named.filter(|_| !text.is_empty()));
    search
}

async fn letters(sources: &FindSources<'_>, text: &str) -> Search<DeadLetter> {
    let mut search = Search::nothing();
    let mut filter = DeadLetterFilter {
        limit: Some(NAMED),
        ..DeadLetterFilter::default()
    };
    match (text.parse(), text.parse()) {
        (Ok(user_id), _) => filter.user = [user_id].into(),
        (Err(_), Ok(id)) => filter.letter = [id].into(),
        (Err(_), Err(_)) => {
            let why = "the text is no whole ID of a dead letter or of a user";
            search.skip("dead letters", why);
            return search;
        }
    }
    let listing = dead_letters::list(sources.broker, None, filter);
    if let Some(listing) = search.take("dead letters", within(WITHIN, listing).await) {
        let found = listing.dead_letters.into_iter();
        search.found.extend(found.map(|listed| listed.dead_letter));
    }
    search
}

async fn entries(sources: &FindSources<'_>, text: &str) -> Search<AuditEntry> {
    let mut search = Search::nothing();
    let Ok(id) = text.parse::<Uuid>() else {
        let why = "the text is no whole ID of an entry; `GET /audit-log` has filters";
        search.skip("audit log", why);
        return search;
    };
    let log = AuditLog::new(Arc::clone(sources.archive_store), sources.clock.clone());
    let entry = search.take("audit log", within(WITHIN, log.entry(id)).await);
    search.found.extend(entry.flatten());
    search
}
