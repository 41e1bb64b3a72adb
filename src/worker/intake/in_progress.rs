//! What a worker reports about the deliveries that it holds.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;

use crate::job::UserId;

/// The users whose jobs run, for logs.
#[derive(Default)]
pub(crate) struct InProgress {
    users: Mutex<BTreeMap<UserId, usize>>,
}

/// Leaves the list when it is dropped.
pub(crate) struct Entry<'a> {
    list: &'a InProgress,
    user_id: UserId,
}

impl InProgress {
    pub(crate) fn enter(&self, user_id: UserId) -> Entry<'_> {
        *self.users.lock().entry(user_id).or_default() += 1;
        Entry {
            list: self,
            user_id,
        }
    }

    /// The first few, by ID.
    pub(crate) fn names(&self) -> String {
        const SHOWN: usize = 5;
        let users = self.users.lock();
        let more = users.len().saturating_sub(SHOWN);
        let shown: Vec<String> = users.keys().take(SHOWN).map(ToString::to_string).collect();
        let shown = shown.join(", ");
        if more == 0 {
            shown
        } else {
            format!("{shown} and {more} more")
        }
    }
}

impl Drop for Entry<'_> {
    fn drop(&mut self) {
        let mut users = self.list.users.lock();
        if let Some(count) = users.get_mut(&self.user_id) {
            *count -= 1;
            if *count == 0 {
                users.remove(&self.user_id);
            }
        }
    }
}

/// Deliveries whose successor no queue takes, and why.
#[derive(Default)]
pub(crate) struct Unsettled {
    why: Mutex<BTreeMap<usize, String>>,
    next: AtomicUsize,
}

/// One delivery that is being settled; leaves the list when it is dropped.
pub(crate) struct Settling<'a> {
    list: &'a Unsettled,
    number: usize,
}

impl Unsettled {
    pub(crate) fn begin(&self) -> Settling<'_> {
        Settling {
            list: self,
            number: self.next.fetch_add(1, Ordering::Relaxed),
        }
    }

    /// How many there are, and why the first cannot be settled.
    pub(crate) fn cause(&self) -> Option<String> {
        let why = self.why.lock();
        let first = why.values().next()?;
        Some(format!(
            "{} deliveries in flight cannot be settled: {first}",
            why.len()
        ))
    }
}

impl Settling<'_> {
    pub(crate) fn failed(&self, why: String) {
        self.list.why.lock().insert(self.number, why);
    }
}

impl Drop for Settling<'_> {
    fn drop(&mut self) {
        self.list.why.lock().remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_with_two_jobs_is_named_until_both_ended() {
        let list = InProgress::default();
        let user_id: UserId = "3f1f0d4e-9a51-4b4b-8f6c-1f9a4f9b7c11".parse().unwrap();
        let first = list.enter(user_id);
        let second = list.enter(user_id);
        drop(first);
        assert_eq!(list.names(), user_id.to_string());
        drop(second);
        assert_eq!(list.names(), "");
    }

    #[test]
    fn a_cause_lasts_until_its_delivery_is_settled() {
        let list = Unsettled::default();
        let settling = list.begin();
        assert_eq!(list.cause(), None);
        settling.failed("no queue".to_owned());
        let cause = "1 deliveries in flight cannot be settled: no queue";
        assert_eq!(list.cause().as_deref(), Some(cause));
        drop(settling);
        assert_eq!(list.cause(), None);
    }
}
