//! Orders of `submit`: who asked for which users, why and when. Parts of a bounded size, each an object that is written
//! once, `_order_{name}.json`. A message names its part, and workers check that the part names the user.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tokio::sync::OnceCell;
use uuid::Uuid;

use crate::failure::{Class, Code, Failure, Reason};
use crate::integrity::{Purpose, without_code};
use crate::job::{BatchId, OrderName, UserId};
use crate::ports::{ArchiveStore, ObjectKey};

/// One part names at most this many users.
pub(crate) const USERS_IN_PART: usize = 10_000;
/// The largest part that is read: it names [`USERS_IN_PART`] users.
const MAX_PART_BYTES: usize = 1024 * 1024;
/// How many parts a worker keeps in memory, of up to 160 kB each.
const PARTS_KEPT: usize = 64;

/// What was ordered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Order {
    /// The same in all parts.
    pub id: Uuid,
    pub at: Timestamp,
    /// The operator, for example `ada@host`.
    pub who: String,
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

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Part {
    #[serde(flatten)]
    order: Order,
    /// From 1.
    number: usize,
    parts: u64,
    ids: Vec<UserId>,
}

/// Stores one part, which names these users, and answers with its name.
pub(crate) async fn store_part(
    store: &dyn ArchiveStore,
    order: &Order,
    number: usize,
    ids: Vec<UserId>,
) -> Result<OrderName, Failure> {
    let part = Part {
        order: order.clone(),
        number,
        parts: order.users.div_ceil(USERS_IN_PART as u64),
        ids,
    };
    let internal = |why: &dyn std::fmt::Display| Failure::internal("cannot write an order", why);
    let body = serde_json::to_vec(&part).map_err(|error| internal(&error))?;
    let name = digest(&body);
    let name: OrderName = name.parse().map_err(|why: &str| internal(&why))?;
    let key = key(&name);
    let body = store.integrity().sign(Purpose::Order, key.as_str(), body);
    // If it is there already, it is ours: the answer to the first try was lost.
    store.put_once(&key, Bytes::from(body), None).await?;
    Ok(name)
}

/// The orders that a worker has read. An object is read once: it never changes.
#[derive(Default)]
pub(crate) struct Orders {
    /// The one that was asked for last comes first.
    parts: Mutex<VecDeque<(OrderName, Arc<ReadOnce>)>>,
}

/// The users of a part in order, or why the part does not count.
type ReadOnce = OnceCell<Vec<UserId>>;

impl Orders {
    /// Fails where the order does not name this user.
    pub(crate) async fn check(
        &self,
        store: &dyn ArchiveStore,
        name: &OrderName,
        user_id: UserId,
    ) -> Result<(), Failure> {
        let part = self.kept(name);
        let users = part.get_or_try_init(|| read(store, name)).await?;
        match users.binary_search(&user_id) {
            Ok(_found) => Ok(()),
            Err(_place) => Err(refused(store, name, "which does not name this user")),
        }
    }

    fn kept(&self, name: &OrderName) -> Arc<ReadOnce> {
        let mut parts = self.parts.lock();
        let place = parts.iter().position(|(known, _)| known == name);
        let part = place.and_then(|place| parts.remove(place));
        let (name, part) = part.unwrap_or_else(|| (name.clone(), Arc::default()));
        parts.push_front((name, Arc::clone(&part)));
        parts.truncate(PARTS_KEPT);
        part
    }
}

async fn read(store: &dyn ArchiveStore, name: &OrderName) -> Result<Vec<UserId>, Failure> {
    let refused = |why: &str| refused(store, name, why);
    let key = key(name);
    let stored = match store.read(&key, MAX_PART_BYTES).await {
        Ok(Some(stored)) => stored,
        Ok(None) => return Err(refused("which is not there")),
        // We write no such part. An error here would stop all other users, too.
        Err(failure) if failure.class == Class::Defect => {
            return Err(refused("which is too large"));
        }
        Err(failure) => return Err(failure),
    };
    if digest(&without_code(&stored)) != name.to_string() {
        return Err(refused("which was changed since"));
    }

    let integrity = store.integrity();
    let opened = integrity.open::<Part>(Purpose::Order, key.as_str(), &stored);
    let mut ids = opened
        .map_err(|untrusted| refused(&format!("but {untrusted}")))?
        .ids;
    ids.sort_unstable();
    Ok(ids)
}

fn refused(store: &dyn ArchiveStore, name: &OrderName, why: &str) -> Failure {
    let text = format!(
        "the message claims an order, {}, {why}; nobody is touched because of it: submit the user again if it is to leave",
        store.full_key(&key(name))
    );
    Failure::new(
        Class::Permanent(Reason::ProtectedUser),
        Code::NotInOrder,
        text,
    )
}

fn digest(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

fn key(name: &OrderName) -> ObjectKey {
    ObjectKey(format!("_order_{name}.json"))
}

#[cfg(test)]
#[path = "order_tests.rs"]
mod tests;
