//! Orders of `submit`: who asked for which users, why and when. Parts of a bounded size, each an object that is written
//! once, `_order_{name}.json`. A message names its part, and workers check that the part names the user.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::OnceCell;
use uuid::Uuid;

use super::named::{NamedObjects, NotNamed, Recent};
use super::order_requests::PartRequests;
use crate::failure::{Class, Code, Failure, Reason};
use crate::integrity::Purpose;
use crate::job::{BatchId, OrderName, PlanName, Request, UserId};
use crate::ports::ArchiveStore;

/// One part names at most this many users.
pub(crate) const USERS_IN_PART: usize = 10_000;
/// How many parts a worker keeps in memory, of up to 160 kB each.
const PARTS_KEPT: usize = 64;
/// How many parts are read at once to list them all.
const READS_AT_ONCE: usize = 16;

const PARTS: NamedObjects = NamedObjects {
    prefix: "_order_",
    purpose: Purpose::Order,
    // It names [`USERS_IN_PART`] users.
    max_bytes: 1024 * 1024,
};

/// What was ordered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Order {
    /// The same in all parts.
    pub id: Uuid,
    pub at: Timestamp,
    /// The operator, for example `ada@host`.
    pub who: String,
    /// The name of the person in the people file; `None` where people are not set, and `who` is a claim.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub person: Option<String>,
    /// The plan whose approval permits the deletions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<PlanName>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch_id: Option<BatchId>,
    /// The queue that the messages go to.
    pub queue: String,
    /// How many users all parts name.
    pub users: u64,
    /// SHA-256 of the IDs of all users, each followed by a line feed, in the order of the input.
    pub ids_sha256: String,
    /// SHA-256 of the file as it was given, where there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file_sha256: Option<String>,
}

#[cfg(test)]
impl Order {
    /// An order of this number of users, for tests.
    pub(crate) fn sample(users: u64) -> Self {
        Self {
            id: Uuid::now_v7(),
            at: crate::clock::Clock::system().now(),
            who: "ada@host".to_owned(),
            person: None,
            plan: None,
            why: None,
            batch_id: None,
            queue: "offboarding.users".to_owned(),
            users,
            ids_sha256: String::new(),
            file_sha256: None,
        }
    }
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Part {
    #[serde(flatten)]
    order: Order,
    /// From 1.
    number: usize,
    parts: u64,
    ids: Vec<UserId>,
    #[serde(default, skip_serializing_if = "PartRequests::is_empty")]
    requests: PartRequests,
}

/// Stores one part, which names these users and what is asked of each, and answers with its name.
pub(crate) async fn store_part(
    store: &dyn ArchiveStore,
    order: &Order,
    number: usize,
    ids: Vec<UserId>,
    requests: PartRequests,
) -> Result<OrderName, Failure> {
    let part = Part {
        order: order.clone(),
        number,
        parts: order.users.div_ceil(USERS_IN_PART as u64),
        ids,
        requests,
    };
    let body = serde_json::to_vec(&part)
        .map_err(|error| Failure::internal("cannot write an order", error))?;
    PARTS.store(store, body).await
}

/// The orders that a worker has read. An object is read once: it never changes.
pub(crate) struct Orders {
    parts: Recent<OrderName, ReadOnce>,
}

/// A part, or why it does not count.
type ReadOnce = OnceCell<Arc<OrderPart>>;

/// What a worker keeps of a part.
struct OrderPart {
    order: Arc<Order>,
    /// In order.
    users: Vec<UserId>,
}

impl Default for Orders {
    fn default() -> Self {
        Self {
            parts: Recent::new(PARTS_KEPT),
        }
    }
}

impl Orders {
    /// The order. Fails where it does not name this user.
    pub(crate) async fn check(
        &self,
        store: &dyn ArchiveStore,
        name: &OrderName,
        user_id: UserId,
    ) -> Result<Arc<Order>, Failure> {
        let part = self.parts.get(name);
        let part = part.get_or_try_init(|| read(store, name)).await?;
        match part.users.binary_search(&user_id) {
            Ok(_found) => Ok(Arc::clone(&part.order)),
            Err(_place) => Err(refused(store, name, "which does not name this user")),
        }
    }
}

/// What was ordered of one user, in the order of time.
pub(crate) type OrderedUsers = BTreeMap<UserId, Vec<(OrderName, Arc<Order>)>>;

/// Reads all orders. Those that do not count are listed by their full keys, with the reason.
pub(crate) async fn all_orders(
    store: &dyn ArchiveStore,
) -> Result<(OrderedUsers, Vec<String>), Failure> {
    let keys = store.keys(PARTS.prefix).await?;
    let names = keys.iter().filter_map(|key| PARTS.name(key));
    let names: Vec<OrderName> = names.collect();
    let mut reading = stream::iter(names)
        .map(|name| async move {
            let read: Result<Part, NotNamed> = PARTS.read(store, &name).await?;
            Ok::<_, Failure>((name, read))
        })
        .buffer_unordered(READS_AT_ONCE);
    let mut users = OrderedUsers::new();
    let mut odd = Vec::new();
    while let Some(read) = reading.try_next().await? {
        match read {
            (name, Ok(part)) => {
                let order = Arc::new(part.order);
                for user_id in part.ids {
                    let of_user = users.entry(user_id).or_default();
                    of_user.push((name.clone(), Arc::clone(&order)));
                }
            }
            (name, Err(NotNamed(why))) => {
                odd.push(format!("{}, {why}", store.full_key(&PARTS.key(&name))));
            }
        }
    }
    for orders in users.values_mut() {
        orders.sort_by_key(|order| order.1.at);
    }
    odd.sort();
    Ok((users, odd))
}

/// What the orders ask of each of `wanted`, in the order of time; `None`: an order that names the user does not say. Orders
/// that do not count ask for nothing.
pub(crate) async fn ordered_requests(
    store: &dyn ArchiveStore,
    wanted: &BTreeSet<UserId>,
) -> Result<BTreeMap<UserId, Vec<Option<Request>>>, Failure> {
    let keys = store.keys(PARTS.prefix).await?;
    let names: Vec<OrderName> = keys.iter().filter_map(|key| PARTS.name(key)).collect();
    let mut reading = stream::iter(names)
        .map(|name| async move {
            let read: Result<Part, NotNamed> = PARTS.read(store, &name).await?;
            Ok::<_, Failure>((name, read))
        })
        .buffer_unordered(READS_AT_ONCE);
    let mut found: BTreeMap<UserId, Vec<(Timestamp, Option<Request>)>> = BTreeMap::new();
    while let Some((name, read)) = reading.try_next().await? {
        let Ok(part) = read else { continue };
        for (place, user_id) in part.ids.iter().enumerate() {
            if wanted.contains(user_id) {
                let request = part.requests.of(place).map(|request| Request {
                    order: Some(name.clone()),
                    ..request.clone()
                });
                let of_user = found.entry(*user_id).or_default();
                of_user.push((part.order.at, request));
            }
        }
    }
    let in_order = |mut of_user: Vec<(Timestamp, Option<Request>)>| {
        of_user.sort_by_key(|(at, _)| *at);
        of_user.into_iter().map(|(_, request)| request).collect()
    };
    let found = found.into_iter();
    Ok(found
        .map(|(user_id, of_user)| (user_id, in_order(of_user)))
        .collect())
}

async fn read(store: &dyn ArchiveStore, name: &OrderName) -> Result<Arc<OrderPart>, Failure> {
    let read: Result<Part, NotNamed> = PARTS.read(store, name).await?;
    let part = read.map_err(|NotNamed(why)| refused(store, name, &why))?;
    let mut users = part.ids;
    users.sort_unstable();
    Ok(Arc::new(OrderPart {
        order: Arc::new(part.order),
        users,
    }))
}

fn refused(store: &dyn ArchiveStore, name: &OrderName, why: &str) -> Failure {
    let text = format!(
        "the message claims an order, {}, {why}; nobody is touched because of it: submit the user again if it is to leave",
        store.full_key(&PARTS.key(name))
    );
    Failure::new(
        Class::Permanent(Reason::ProtectedUser),
        Code::NotInOrder,
        text,
    )
}

#[cfg(test)]
#[path = "order_tests.rs"]
mod tests;
