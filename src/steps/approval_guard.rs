//! What the guard of approvals works with: the rule in force, the plans that were read, and what was counted.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use super::recorded_ahead::RecordedAhead;
use crate::guards::approval::Fingerprint;
use crate::job::PlanName;
use crate::limits::{ApprovalNeeded, ApprovalRule, RateLimit};
use crate::machine::Pause;
use crate::ports::Requester;
use crate::registers::plan::Plans;
use crate::registers::{PeopleWatch, RuleInForce};

/// Within this time a requester's deletions without an approval are counted.
const COUNTED_FOR: Duration = Duration::from_hours(24);
/// Of at most that many plans the worker remembers what it logged.
const MOST_SAID: usize = 64;

/// What the guard works with.
pub(crate) struct ApprovalGuard {
    pub(super) settings: ApprovalRule,
    /// `None` where people are not set: then nobody can approve.
    pub(super) people: Option<Arc<PeopleWatch>>,
    /// Origin of the tenant's API.
    pub(super) tenant: String,
    /// Without the protected list, which is read again before each deletion.
    pub(super) fingerprint: Fingerprint,
    pub(crate) plans: Plans,
    pub(super) rule: tokio::sync::Mutex<Option<(Instant, RuleInForce)>>,
    /// Why the rule of the settings is not the one in force, for people.
    pub(super) instead: Mutex<Option<String>>,
    recorded: Mutex<BTreeMap<Requester, Arc<RecordedAhead>>>,
    /// Why users of each plan wait, as it was logged last.
    said: Mutex<BTreeMap<Option<PlanName>, String>>,
    /// How many users a command plans whom no order names yet.
    planned: AtomicU64,
}

impl ApprovalGuard {
    pub(crate) fn new(
        settings: ApprovalRule,
        people: Option<Arc<PeopleWatch>>,
        tenant: String,
        fingerprint: Fingerprint,
    ) -> Self {
        Self {
            settings,
            people,
            tenant,
            fingerprint,
            plans: Plans::default(),
            rule: tokio::sync::Mutex::default(),
            instead: Mutex::default(),
            recorded: Mutex::default(),
            said: Mutex::default(),
            planned: AtomicU64::new(1),
        }
    }

    #[cfg(test)]
    pub(crate) fn off() -> Self {
        use crate::limits::DeletePolicy;
        use crate::profile::TenantProfile;

        let profile = TenantProfile::Tutorial;
        let policy = DeletePolicy::Attempt;
        let fingerprint = Fingerprint::of(profile, policy, Duration::ZERO, None, String::new());
        Self::new(ApprovalRule::OFF, None, String::new(), fingerprint)
    }

    /// Who can approve now; `None` where people are not set.
    pub(crate) const fn people(&self) -> Option<&Arc<PeopleWatch>> {
        self.people.as_ref()
    }

    /// Origin of the tenant's API, as plans name it.
    pub(crate) fn tenant(&self) -> &str {
        &self.tenant
    }

    /// The settings that decide who is deleted, and when, as plans have them.
    pub(crate) fn fingerprint(&self, protected_sha256: String) -> Fingerprint {
        Fingerprint {
            protected_sha256,
            ..self.fingerprint.clone()
        }
    }

    /// How many users a command plans.
    pub(super) fn planned(&self) -> u64 {
        self.planned.load(Ordering::Relaxed)
    }

    /// Says how many users a command plans.
    pub(crate) fn plans_for(&self, users: u64) {
        self.planned.store(users, Ordering::Relaxed);
    }

    /// Why the rule of the settings is not the one in force, for people.
    pub(crate) fn instead(&self) -> Option<String> {
        self.instead.lock().clone()
    }

    /// Logs why users wait, once for each cause and not for each of thousands of users.
    pub(super) fn say(&self, plan: Option<&PlanName>, why: Pause, text: &str) {
        let mut said = self.said.lock();
        if said.get(&plan.cloned()).is_some_and(|known| known == text) {
            return;
        }
        if said.len() >= MOST_SAID {
            said.clear();
        }
        said.insert(plan.cloned(), text.to_owned());
        let plan = plan.map(ToString::to_string);
        let why = why.as_str();
        if why == Pause::PlanAltered.as_str() {
            tracing::warn!(plan, text, why, "a plan does not count: deletions wait");
        } else {
            tracing::info!(plan, text, why, "deletions wait for an approval");
        }
    }

    /// The records of one requester's deletions.
    pub(super) fn recorded(&self, requester: Requester, count: u32) -> Arc<RecordedAhead> {
        let per = COUNTED_FOR;
        let mut recorded = self.recorded.lock();
        let new = || {
            let prefix = format!("_unapproved_{requester}_");
            Arc::new(RecordedAhead::new(prefix, RateLimit { count, per }))
        };
        let known = recorded.entry(requester).or_insert_with(new);
        if known.limit.count != count {
            *known = new();
        }
        Arc::clone(known)
    }
}

/// Whether the deletion of a user needs an approval.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Needed {
    No,
    Yes,
    /// Only beyond that many without one.
    Beyond(u32),
}

/// `users`: how many users the order names.
pub(super) fn needed(rule: ApprovalRule, users: u64) -> Needed {
    match rule.needed {
        ApprovalNeeded::Off => Needed::No,
        ApprovalNeeded::Above(count) if users <= u64::from(count) => Needed::Beyond(count),
        ApprovalNeeded::Above(_) | ApprovalNeeded::Always => Needed::Yes,
    }
}
