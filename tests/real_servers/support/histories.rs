//! The rules that every user's calls keep at the APIs of NICE and Genesys, whatever these call their operations.

use std::collections::{BTreeMap, BTreeSet};

use super::ledger::{Call, Repetition, calls};
use super::population::User;
use super::profile::{Profile, SERVICE_EMPLOYEE};
use super::world::World;

/// Panics with every rule that a user's history, or all calls together, break.
pub(crate) fn assert_kept(world: &World, repetition: Repetition) {
    let calls = calls(&world.simulator);
    let mut broken = broken_by_any(&calls);
    let mut histories: BTreeMap<&str, Vec<&Call>> = BTreeMap::new();
    for call in &calls {
        if let Some(user) = call.user() {
            histories.entry(user).or_default().push(call);
        }
    }
    for user in &world.users {
        let history = histories
            .get(user.id.as_str())
            .map_or(&[][..], Vec::as_slice);
        let rules = History {
            profile: world.profile,
            user,
            calls: history,
        };
        let found = rules.broken(repetition).into_iter();
        broken.extend(found.map(|rule| format!("{}: {rule}", user.id)));
    }

    assert!(
        broken.is_empty(),
        "{} rules broken, first: {:#?}",
        broken.len(),
        &broken[..broken.len().min(10)]
    );
    if world.profile == Profile::Cxone {
        let employee = world.user_now(SERVICE_EMPLOYEE);
        assert_eq!(employee["active"], true, "the service employee");
        let keys = employee["accessKeys"].as_array().expect("keys");
        assert_eq!(keys.len(), 1, "the key of the service employee");
    }
}

/// Only what the document has is called, and nothing is done to the employee as whom we call.
fn broken_by_any(calls: &[Call]) -> Vec<String> {
    let mut broken = Vec::new();
    for call in calls {
        if call.is("unknown") {
            broken.push(format!("{} is in no document", call.path));
        }
        if call.is_write() && call.user() == Some(SERVICE_EMPLOYEE) {
            broken.push(format!("{} of the service employee", call.operation));
        }
    }
    broken
}

/// All calls about one user, in the order in which they ended.
struct History<'a> {
    profile: Profile,
    user: &'a User,
    calls: &'a [&'a Call],
}

impl History<'_> {
    fn broken(&self, repetition: Repetition) -> Vec<String> {
        let mut broken = self.always();
        if repetition == Repetition::None {
            broken.extend(self.order());
            broken.extend(self.repeated());
        }
        broken
    }

    fn all<'a>(&'a self, operation: &'a str) -> impl DoubleEndedIterator<Item = &'a Call> {
        let calls = self.calls.iter().copied();
        calls.filter(move |call| call.is(operation))
    }

    fn accepted<'a>(&'a self, operation: &'a str) -> impl DoubleEndedIterator<Item = &'a Call> {
        self.all(operation).filter(|call| call.was_accepted())
    }

    /// What holds though steps may come again.
    fn always(&self) -> Vec<String> {
        let mut broken = Vec::new();
        let existence = self.profile.existence();
        if self.calls.first().is_some_and(|call| !call.is(existence)) {
            broken.push("the first call is not whether the user exists".to_owned());
        }

        let page = self.profile.page();
        let deactivated = self
            .all(self.profile.deactivation())
            .find(|call| call.applied);
        let was_inactive = self.user.extra("inactive") == true;
        for call in self.all(page) {
            let is_late = deactivated.is_some_and(|done| done.ended_at <= call.started_at);
            if !is_late && !was_inactive {
                broken.push(format!("{page} came before the deactivation"));
                break;
            }
        }
        if self.profile == Profile::Cxone && self.all("delete_user").next().is_some() {
            broken.push("a deletion was asked for".to_owned());
        }
        broken.extend(self.deletions());
        broken
    }

    /// Nobody is deleted before a page of the archive was there, nobody twice, and nothing is done to a deleted user.
    fn deletions(&self) -> Vec<String> {
        let mut broken = Vec::new();
        let archived = self.accepted(self.profile.page()).next();
        if let Some(first) = self.all("delete_user").next()
            && archived.is_none_or(|page| first.started_at < page.ended_at)
        {
            broken.push("the deletion came before the archive".to_owned());
        }

        let deleted: Vec<&Call> = self.accepted("delete_user").collect();
        if deleted.len() > 1 {
            broken.push("a deletion was accepted twice".to_owned());
        }
        if let Some(deleted) = deleted.first() {
            let later = self.calls.iter().filter(|call| {
                call.is_write() && call.was_accepted() && call.started_at > deleted.ended_at
            });
            broken.extend(later.map(|call| format!("{} after the deletion", call.operation)));
        }
        broken
    }

    /// Routing, account, sessions and keys, archive, deletion: each begins after the one before it was done.
    fn order(&self) -> Vec<String> {
        let deactivation = [self.profile.deactivation()];
        let page = [self.profile.page()];
        let steps: [(&str, &[&str]); 5] = [
            ("routing", self.profile.routing_writes()),
            ("the deactivation", &deactivation),
            ("sessions and keys", self.profile.access_writes()),
            ("the archive", &page),
            ("the deletion", &["delete_user"]),
        ];

        let mut broken = Vec::new();
        for (number, (name, operations)) in steps.iter().enumerate() {
            let last = self.of(operations).map(|call| call.seq).max();
            for (later, after) in &steps[number + 1..] {
                let first = self.of(after).map(|call| call.seq).min();
                if let (Some(last), Some(first)) = (last, first)
                    && first < last
                {
                    broken.push(format!("{later} began before {name} was done"));
                }
            }
        }
        broken
    }

    fn of<'a>(&'a self, operations: &'a [&'a str]) -> impl Iterator<Item = &'a Call> {
        let calls = self.calls.iter().copied();
        calls.filter(move |call| operations.contains(&call.operation.as_str()))
    }

    /// Every write is sent once. The keys of a user have one path.
    fn repeated(&self) -> Vec<String> {
        let mut broken = Vec::new();
        let mut seen = BTreeSet::new();
        for call in self.calls.iter().filter(|call| call.is_write()) {
            let is_new = seen.insert((&call.operation, &call.path));
            let is_another_key = call.is("disable_access_key") && call.applied;
            if !is_new && !is_another_key {
                broken.push(format!("{} {} was sent twice", call.operation, call.path));
            }
        }
        broken
    }
}
