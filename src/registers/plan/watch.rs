//! What is known of plans: read at most once a minute each.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{Mutex, OnceCell};
use tokio::time::Instant;

use super::acts::MAX_ACTS;
use super::document::{read_plan, read_users};
use super::keys::{Entry, parse, prefix_of};
use crate::failpoint::time_scaled;
use crate::failure::{Class, Failure};
use crate::guards::approval::{ActKind, PlanAct, PlanActs, PlanDocument, PlannedUser, Stored};
use crate::integrity::Purpose;
use crate::job::{PlanName, UserId};
use crate::ports::{ArchiveStore, ObjectKey, Version};
use crate::registers::named::Recent;

/// How long an answer of the archive store is used: so late a worker learns of an approval, or that it was revoked.
const GOOD_FOR: Duration = Duration::from_mins(1);
const PLANS_KEPT: usize = 32;
/// Of up to 300 kB each.
const PARTS_KEPT: usize = 64;
const MAX_ACT_BYTES: usize = 64 * 1024;

/// A plan with what was decided about it, as of a moment ago.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PlanNow {
    pub name: PlanName,
    pub plan: PlanDocument,
    /// When the plan was stored, by the archive store's clock.
    pub stored_at: Timestamp,
    pub acts: PlanActs,
}

/// Reads a plan and everything about it. The text says why the plan does not count.
pub(crate) async fn read_now(
    store: &dyn ArchiveStore,
    name: &PlanName,
) -> Result<Result<PlanNow, String>, Failure> {
    let mut known = Known::default();
    known.read(store, name).await
}

/// The plans that a worker has read.
pub(crate) struct Plans {
    plans: Recent<PlanName, Mutex<Kept>>,
    parts: Recent<PlanName, OnceCell<PartRead>>,
}

type PartRead = Arc<HashMap<UserId, PlannedUser>>;

/// A plan as it was read last.
#[derive(Default)]
struct Kept {
    known: Known,
    last: Option<(Instant, Result<Arc<PlanNow>, String>)>,
}

impl Default for Plans {
    fn default() -> Self {
        Self {
            plans: Recent::new(PLANS_KEPT),
            parts: Recent::new(PARTS_KEPT),
        }
    }
}

impl Plans {
    /// A plan as it was at most a minute ago; the text says why it does not count.
    pub(crate) async fn now(
        &self,
        store: &dyn ArchiveStore,
        name: &PlanName,
    ) -> Result<Result<Arc<PlanNow>, String>, Failure> {
        let kept = self.plans.get(name);
        // The lock is held while it is read, so that all runs of a worker share one read.
        let mut kept = kept.lock().await;
        if let Some((at, answer)) = &kept.last
            && at.elapsed() < time_scaled(GOOD_FOR)
        {
            return Ok(answer.clone());
        }
        let begun = Instant::now();
        let read = kept.known.read(store, name).await?.map(Arc::new);
        kept.last = Some((begun, read.clone()));
        Ok(read)
    }

    /// The next one who asks reads the plan again.
    pub(crate) async fn forget(&self, name: &PlanName) {
        self.plans.get(name).lock().await.last = None;
    }

    /// What the plan says of a user; `None` if it does not name the user.
    pub(crate) async fn user(
        &self,
        store: &dyn ArchiveStore,
        plan: &PlanDocument,
        user_id: UserId,
    ) -> Result<Option<PlannedUser>, Failure> {
        let Some(part) = plan.part_of(user_id) else {
            return Ok(None);
        };
        let kept = self.parts.get(&part.name);
        let users = kept
            .get_or_try_init(|| async {
                let users = read_users(store, &part.name).await?.into_iter();
                let users = users.map(|user| (user.user_id, user)).collect();
                Ok::<_, Failure>(Arc::new(users))
            })
            .await?;
        Ok(users.get(&user_id).cloned())
    }
}

/// Where and when an object was seen. One that was written again is read again.
type Seen = (String, Option<String>, Option<Timestamp>);

/// What never changes, and was read once.
#[derive(Default)]
struct Known {
    plan: Option<PlanDocument>,
    acts: BTreeMap<Seen, Read>,
}

/// A record, or why it does not count.
type Read = Result<PlanAct, String>;

impl Known {
    async fn read(
        &mut self,
        store: &dyn ArchiveStore,
        name: &PlanName,
    ) -> Result<Result<PlanNow, String>, Failure> {
        let plan = match self.plan.take() {
            Some(plan) => plan,
            None => match read_plan(store, name).await? {
                Ok(plan) => plan,
                Err(why) => return Ok(Err(why)),
            },
        };
        self.plan = Some(plan.clone());
        let listed = Listed::read(store, name).await?;
        let Some(version) = &listed.plan else {
            let prefix = store.full_key(&ObjectKey(prefix_of(name)));
            return Ok(Err(format!("the plan {prefix}json is not there any more")));
        };
        let stored_at = version.modified.unwrap_or(plan.at);
        let acts = self.acts(store, listed).await?;
        Ok(Ok(PlanNow {
            name: name.clone(),
            plan,
            stored_at,
            acts,
        }))
    }

    async fn acts(
        &mut self,
        store: &dyn ArchiveStore,
        listed: Listed,
    ) -> Result<PlanActs, Failure> {
        let mut acts = PlanActs {
            moved: listed.moved,
            is_stale: listed.is_stale,
            doubt: listed.doubt,
            ..PlanActs::default()
        };
        for ((kind, _number), version) in listed.acts {
            let key = version.key.as_str().to_owned();
            let seen = (key, version.id.clone(), version.modified);
            let read = if let Some(known) = self.acts.get(&seen) {
                known.clone()
            } else {
                let read = read_act(store, &version.key).await?;
                self.acts.insert(seen, read.clone());
                read
            };
            let value = match read {
                Ok(value) => value,
                Err(doubt) => {
                    acts.doubt.get_or_insert(doubt);
                    continue;
                }
            };
            let stored = Stored {
                at: version.modified.unwrap_or(value.at),
                value,
            };
            match kind {
                ActKind::Approval => acts.approvals.push(stored),
                ActKind::Rejection => acts.rejections.push(stored),
                ActKind::Revocation => acts.revocations.push(stored),
                ActKind::Withdrawal => acts.withdrawn = Some(stored),
                ActKind::Application => acts.applied = Some(stored),
            }
        }
        Ok(acts)
    }
}

async fn read_act(store: &dyn ArchiveStore, key: &ObjectKey) -> Result<Read, Failure> {
    let doubt = |why: &str| Err(format!("{}: {why}", store.full_key(key)));
    Ok(match store.read(key, MAX_ACT_BYTES).await {
        Ok(Some(stored)) => {
            let opened = store
                .integrity()
                .open(Purpose::PlanAct, key.as_str(), &stored);
            opened.or_else(|untrusted| doubt(&untrusted.to_string()))
        }
        Ok(None) => doubt("it was there a moment ago, and is gone"),
        // We write no such record. An error here would stop all other users, too.
        Err(failure) if failure.class == Class::Defect => doubt("it is too large"),
        Err(failure) => return Err(failure),
    })
}

/// The objects of a plan.
#[derive(Default)]
struct Listed {
    plan: Option<Version>,
    acts: BTreeMap<(ActKind, u32), Version>,
    moved: BTreeSet<UserId>,
    is_stale: bool,
    doubt: Option<String>,
}

impl Listed {
    async fn read(store: &dyn ArchiveStore, name: &PlanName) -> Result<Self, Failure> {
        let versions = store.all_versions(&prefix_of(name)).await?;
        Ok(Self::of(store, name, versions))
    }

    fn of(store: &dyn ArchiveStore, name: &PlanName, versions: Vec<Version>) -> Self {
        let mut listed = Self::default();
        for version in versions {
            let entry = parse(name, &version.key);
            let odd = match (&entry, version.deletes, version.latest) {
                (None, ..) => Some("offboarder writes no such object"),
                (_, true, _) => Some("somebody deleted it"),
                (_, false, false) => Some("somebody wrote over it"),
                (Some(Entry::Act(_, number)), ..) if *number > MAX_ACTS => {
                    Some("its number is out of line")
                }
                (Some(_), false, true) => None,
            };
            if let Some(why) = odd {
                let key = store.full_key(&version.key);
                listed.doubt.get_or_insert(format!("{key}: {why}"));
            }
            match entry {
                Some(Entry::Plan) => listed.plan = Some(version),
                Some(Entry::Act(kind, number)) => {
                    listed.acts.insert((kind, number), version);
                }
                Some(Entry::Moved(user_id)) => {
                    listed.moved.insert(user_id);
                }
                Some(Entry::Stale) => listed.is_stale = true,
                None => {}
            }
        }
        listed.doubt_gaps(store, name);
        listed
    }

    /// A number that is missing was deleted.
    fn doubt_gaps(&mut self, store: &dyn ArchiveStore, name: &PlanName) {
        for kind in ActKind::ALL {
            let of_kind = self.acts.keys().filter(|(known, _)| *known == kind);
            let numbers: Vec<u32> = of_kind.map(|(_, number)| *number).collect();
            let in_line = (1_u32..)
                .zip(&numbers)
                .all(|(place, number)| place == *number);
            if !in_line {
                let prefix = store.full_key(&ObjectKey(prefix_of(name)));
                let word = kind.as_str();
                self.doubt
                    .get_or_insert(format!("{prefix}{word}: a number is missing"));
            }
        }
    }
}
