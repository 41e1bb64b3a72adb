//! Stores what people decided about a plan, and what workers found.

use bytes::Bytes;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::keys::{act_key, moved_key, stale_key};
use crate::failure::{Class, Code, Failure};
use crate::guards::approval::{ActKind, PlanAct};
use crate::integrity::Purpose;
use crate::job::{PlanName, UserId};
use crate::ports::{ArchiveStore, ObjectKey, PutOnce};

/// More decisions about one plan are a mistake.
pub(super) const MAX_ACTS: u32 = 100;

/// Stores what a person decided, and answers with its number. `AlreadyThere` of what there can be only one is an error.
pub(crate) async fn store_act(
    store: &dyn ArchiveStore,
    name: &PlanName,
    kind: ActKind,
    act: &PlanAct,
) -> Result<u32, Failure> {
    let most = if kind.is_only_one() { 1 } else { MAX_ACTS };
    for number in 1..=most {
        let key = act_key(name, kind, number);
        if put(store, &key, act).await? != PutOnce::AlreadyThere {
            return Ok(number);
        }
    }
    let key = store.full_key(&act_key(name, kind, most));
    let text = format!("{key} is there already, and nothing was stored");
    Err(Failure::new(Class::Defect, Code::ArchiveConflict, text))
}

/// What a worker found of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Found {
    pub at: Timestamp,
    pub why: String,
}

/// Notes that a user is not as the plan saw the user.
pub(crate) async fn mark_moved(
    store: &dyn ArchiveStore,
    name: &PlanName,
    user_id: UserId,
    at: Timestamp,
    why: String,
) -> Result<(), Failure> {
    let found = Found { at, why };
    put(store, &moved_key(name, user_id), &found).await?;
    Ok(())
}

/// Notes that too many users moved, and the plan as a whole stops.
pub(crate) async fn mark_stale(
    store: &dyn ArchiveStore,
    name: &PlanName,
    at: Timestamp,
    why: String,
) -> Result<(), Failure> {
    put(store, &stale_key(name), &Found { at, why }).await?;
    Ok(())
}

async fn put(
    store: &dyn ArchiveStore,
    key: &ObjectKey,
    record: &(impl Serialize + Sync),
) -> Result<PutOnce, Failure> {
    let body = serde_json::to_vec(record)
        .map_err(|error| Failure::internal("cannot write a record of a plan", error))?;
    let body = store.integrity().sign(Purpose::PlanAct, key.as_str(), body);
    store.put_once(key, Bytes::from(body), None).await
}
