//! Where orders to stop are kept: signed, numbered objects of the archive store, `_stop_order.{number}.json`, so that a
//! Redis that lost its data loses no cancellation. Each of them counts, and not only the last one: so a number that is
//! missing, hidden or not as we would have written it puts all of them in doubt, and then nobody is taken further.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use jiff::Timestamp;
use std::sync::Arc;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::shared_read::SharedRead;
use super::stop_order::{StopAct, StopOrder, StopOrders};
use crate::failure::{Class, Code, Failure};
use crate::integrity::Purpose;
use crate::job::UserId;
use crate::ports::{ArchiveStore, ObjectKey, PutOnce};
use crate::registers::audit_log::Recorded;

const PREFIX: &str = "_stop_order.";
/// One order names at most this many users.
pub(crate) const USERS_IN_ONE: usize = 10_000;
/// The largest order that is read: it names [`USERS_IN_ONE`] users.
const MAX_ORDER_BYTES: usize = 1024 * 1024;
const READS_AT_ONCE: usize = 16;
/// How often an order is numbered again because another process took its number.
const MAX_TRIES: usize = 32;
/// How many objects that we did not write an operator may pass over at once.
const MAX_PASSED_OVER: usize = 100;
/// Higher numbers are not ours.
const MAX_NUMBER: u32 = 10_000_000;
/// How long an answer may be used before users are taken. The check before a DELETE reads again.
const RECENT: Duration = Duration::from_secs(2);

/// The orders as they were last read. An object is read once: it never changes.
#[derive(Default)]
pub(crate) struct StopRegister {
    read: Mutex<Read>,
    shared: SharedRead<Arc<StopOrders>>,
}

#[derive(Default)]
struct Read {
    orders: BTreeMap<u32, StopOrder>,
    /// Objects of the line that are not orders of ours, and why.
    odd: BTreeMap<u32, String>,
    view: Option<(Instant, Arc<StopOrders>)>,
    /// The listing that the view was made of.
    listing: Listing,
}

/// What a listing shows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Listing {
    numbers: BTreeSet<u32>,
    /// Other names under the prefix.
    others: BTreeSet<String>,
    /// Keys that a delete marker hides.
    hidden: BTreeSet<String>,
}

impl StopRegister {
    /// The orders, as a listing that begins after this call shows them.
    pub(crate) async fn fresh(&self, store: &dyn ArchiveStore) -> Result<Arc<StopOrders>, Failure> {
        self.listed_within(Duration::ZERO, store).await
    }

    /// The orders, as a listing shows them that began at most `age` before this call.
    pub(crate) async fn listed_within(
        &self,
        age: Duration,
        store: &dyn ArchiveStore,
    ) -> Result<Arc<StopOrders>, Failure> {
        let reading = async {
            let begun = Instant::now();
            let listing = Listing::read(store).await?;
            let mut read = self.read.lock().await;
            read.take_in(store, listing, begun).await
        };
        self.shared.read(age, reading).await
    }

    /// The orders of at most two seconds ago.
    pub(crate) async fn recent(
        &self,
        store: &dyn ArchiveStore,
    ) -> Result<Arc<StopOrders>, Failure> {
        // The lock is held while it lists, so that all runs of a worker share one listing.
        let mut read = self.read.lock().await;
        if let Some((at, view)) = &read.view
            && at.elapsed() < RECENT
        {
            return Ok(Arc::clone(view));
        }
        let begun = Instant::now();
        let listing = Listing::read(store).await?;
        read.take_in(store, listing, begun).await
    }
}

impl Read {
    async fn take_in(
        &mut self,
        store: &dyn ArchiveStore,
        listing: Listing,
        begun: Instant,
    ) -> Result<Arc<StopOrders>, Failure> {
        if let Some((at, view)) = &mut self.view {
            // Another run has read later.
            if *at > begun && self.listing.numbers.is_superset(&listing.numbers) {
                return Ok(Arc::clone(view));
            }
            if self.listing == listing && view.doubt().is_none() {
                *at = begun;
                return Ok(Arc::clone(view));
            }
        }

        let new: Vec<u32> = listing
            .numbers
            .iter()
            .filter(|number| !self.orders.contains_key(number) && !self.odd.contains_key(number))
            .copied()
            .collect();
        let opened: Vec<(u32, Result<StopOrder, String>)> = stream::iter(new)
            .map(|number| async move { Ok::<_, Failure>((number, open(store, number).await?)) })
            .buffer_unordered(READS_AT_ONCE)
            .try_collect()
            .await?;
        for (number, opened) in opened {
            match opened {
                Ok(order) => drop(self.orders.insert(number, order)),
                Err(why) => drop(self.odd.insert(number, why)),
            }
        }

        let doubt = self.doubt(&listing);
        let doubt = doubt.map(|(key, why)| format!("{}: {why}", store.full_key(&ObjectKey(key))));
        let view = Arc::new(StopOrders::of(self.orders.values(), doubt));
        self.view = Some((begun, Arc::clone(&view)));
        self.listing = listing;
        // What cannot be read now may be readable later.
        self.odd.clear();
        Ok(view)
    }

    /// The first object that is not as we would have written it, and why. An order may pass over them.
    fn doubt(&self, listing: &Listing) -> Option<(String, String)> {
        let passed_over = self.passed_over();
        self.odd_objects(listing)
            .into_iter()
            .find(|(key, _)| !passed_over.contains(key.as_str()))
    }

    fn passed_over(&self) -> BTreeSet<&str> {
        let acts = self.orders.values().filter_map(|order| match &order.act {
            StopAct::PassOver { objects } => Some(objects),
            StopAct::CancelUsers { .. }
            | StopAct::CancelBatch { .. }
            | StopAct::PauseBatch { .. }
            | StopAct::ResumeBatch { .. } => None,
        });
        acts.flatten().map(String::as_str).collect()
    }

    fn odd_objects(&self, listing: &Listing) -> Vec<(String, String)> {
        let unreadable = self.odd.iter();
        let unreadable = unreadable.map(|(number, why)| (key(*number).0, why.clone()));
        let others = listing.others.iter();
        let others = others.map(|name| (name.clone(), "it is not one of ours".to_owned()));
        let hidden = listing.hidden.iter();
        let hidden = hidden.map(|name| (name.clone(), "a delete marker hides it".to_owned()));

        // What was read once and is not listed any more is missing, too.
        let last_listed = listing.numbers.last().copied().unwrap_or(0);
        let last_known = self.orders.keys().next_back().copied().unwrap_or(0);
        let missing = (1..=last_listed.max(last_known)).filter(|number| {
            !listing.numbers.contains(number) && !listing.hidden.contains(key(*number).as_str())
        });
        // One more than can be passed over says enough.
        let missing = missing.take(MAX_PASSED_OVER + 1);
        let missing = missing.map(|number| (key(number).0, "it is missing".to_owned()));
        unreadable
            .chain(hidden)
            .chain(missing)
            .chain(others)
            .collect()
    }

    /// A number that was never used.
    fn next_number(&self, listing: &Listing) -> Option<u32> {
        let ours = self.orders.keys().next_back().copied().unwrap_or(0);
        let after = ours.checked_add(1)?;
        (after..=MAX_NUMBER).find(|number| {
            !listing.numbers.contains(number) && !listing.hidden.contains(key(*number).as_str())
        })
    }
}

impl Listing {
    async fn read(store: &dyn ArchiveStore) -> Result<Self, Failure> {
        let listed = store.shown_and_hidden(PREFIX).await?;
        let mut listing = Self::default();
        for key in listed.0 {
            match number_of(&key) {
                Some(number) => drop(listing.numbers.insert(number)),
                None => drop(listing.others.insert(key.0)),
            }
        }
        listing.hidden = listed.1.into_iter().map(|key| key.0).collect();
        Ok(listing)
    }
}

/// Gives an order, and returns once it reads back as it was given.
pub(crate) async fn give_order(
    store: &dyn ArchiveStore,
    act: StopAct,
    recorded: &Recorded,
    at: Timestamp,
) -> Result<(), Failure> {
    let operator = recorded.operator();
    let order = StopOrder {
        act,
        who: operator.who.clone(),
        why: operator.why.clone(),
        at,
    };
    let body = serde_json::to_vec(&order)
        .map_err(|error| Failure::internal("cannot write an order to stop", error))?;

    for _ in 0..MAX_TRIES {
        let register = StopRegister::default();
        register.fresh(store).await?;
        let next = {
            let read = register.read.lock().await;
            read.next_number(&read.listing)
        };
        let Some(number) = next else {
            break;
        };
        let key = key(number);
        let signed = store
            .integrity()
            .sign(Purpose::StopOrder, key.as_str(), body.clone());
        // Another operator may have ordered something a moment ago; then ours is the next one.
        if store.put_once(&key, Bytes::from(signed), None).await? == PutOnce::AlreadyThere {
            continue;
        }

        register.fresh(store).await?;
        if register.read.lock().await.orders.get(&number) == Some(&order) {
            return Ok(());
        }
        return Err(not_read_back(store, &key));
    }
    let text = format!(
        "no number was free under {} in {MAX_TRIES} tries; do it again",
        store.full_key(&ObjectKey(PREFIX.to_owned()))
    );
    Err(Failure::new(Class::Transient, Code::ArchiveConflict, text))
}

/// The objects that keep all users waiting, because they are not as we would have written them. An error if they are more
/// than an operator may pass over: a forged order with a high number makes all numbers before it look missing.
pub(crate) async fn odd_orders(store: &dyn ArchiveStore) -> Result<Vec<String>, Failure> {
    let mut read = Read::default();
    let listing = Listing::read(store).await?;
    for number in &listing.numbers {
        match open(store, *number).await? {
            Ok(order) => drop(read.orders.insert(*number, order)),
            Err(why) => drop(read.odd.insert(*number, why)),
        }
    }

    let passed_over = read.passed_over();
    let odd = read.odd_objects(&listing).into_iter().map(|(key, _)| key);
    let odd: Vec<String> = odd
        .filter(|key| !passed_over.contains(key.as_str()))
        .collect();
    if odd.len() > MAX_PASSED_OVER {
        let last = listing.numbers.last().map(|number| key(*number));
        return Err(too_many_odd(store, last.as_ref(), odd.len()));
    }
    Ok(odd)
}

/// Users in orders of a bounded size.
pub(crate) fn in_orders(users: &[UserId]) -> impl Iterator<Item = StopAct> {
    let chunks = users.chunks(USERS_IN_ONE);
    chunks.map(|users| StopAct::CancelUsers {
        users: users.to_vec(),
    })
}

/// Reads one order; the text says why it does not count.
async fn open(store: &dyn ArchiveStore, number: u32) -> Result<Result<StopOrder, String>, Failure> {
    let key = key(number);
    let stored = match store.read(&key, MAX_ORDER_BYTES).await {
        Ok(Some(stored)) => stored,
        Ok(None) => return Ok(Err("it was there a moment ago, and is gone".to_owned())),
        // We write no such order. An error here would stop a worker that only has to stop its users.
        Err(failure) if failure.class == Class::Defect => {
            return Ok(Err("it is too large".to_owned()));
        }
        Err(failure) => return Err(failure),
    };
    let integrity = store.integrity();
    let opened = integrity.open(Purpose::StopOrder, key.as_str(), &stored);
    Ok(opened.map_err(|untrusted| untrusted.to_string()))
}

fn too_many_odd(store: &dyn ArchiveStore, last: Option<&ObjectKey>, count: usize) -> Failure {
    let prefix = store.full_key(&ObjectKey(PREFIX.to_owned()));
    let last = last.map_or_else(|| prefix.clone(), |last| store.full_key(last));
    let text = format!(
        "{count} objects or more under {prefix} are missing, or were not written by offboarder: all users stay stopped; an \
         operator who may delete versions has to check the one with the highest number, {last}: if offboarder did not \
         write it, delete this object, and resume again"
    );
    Failure::new(Class::Defect, Code::ArchiveConflict, text)
}

fn not_read_back(store: &dyn ArchiveStore, key: &ObjectKey) -> Failure {
    let text = format!(
        "{} was stored, and does not read back from {}: no worker would see it; use a store, and a prefix in \
         OFFBOARDER_ARCHIVE_URL, that lists its objects",
        store.full_key(key),
        store.location()
    );
    Failure::new(Class::Systemic, Code::ArchiveRejected, text)
}

fn key(number: u32) -> ObjectKey {
    ObjectKey(format!("{PREFIX}{number}.json"))
}

fn number_of(listed: &ObjectKey) -> Option<u32> {
    let number = listed
        .as_str()
        .strip_prefix(PREFIX)?
        .strip_suffix(".json")?
        .parse()
        .ok()?;
    ((1..=MAX_NUMBER).contains(&number) && key(number) == *listed).then_some(number)
}

#[cfg(test)]
#[path = "stop_register_tests.rs"]
mod tests;
