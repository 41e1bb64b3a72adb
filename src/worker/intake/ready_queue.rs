use parking_lot::Mutex;
use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use crate::job::Source;
use crate::job::{Lane, UserId};
use crate::ports::queue::Delivery;
use crate::worker::intake::backlog::InHand;

/// A delivery that was received and not settled.
pub(crate) struct Held {
    pub(crate) source: Source,
    pub(crate) delivery: Delivery,
    pub(crate) since: Instant,
    pub(crate) in_hand: InHand,
}

/// For which lanes a slot is free.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FreeLanes {
    pub(crate) access: bool,
    pub(crate) archive: bool,
}

impl FreeLanes {
    pub(crate) const fn allow(self, source: Source) -> bool {
        match source.lane() {
            Lane::Access | Lane::Whole => self.access,
            Lane::Archive => self.archive,
        }
    }
}

/// Deliveries that wait for a slot. The prefetch bounds them.
#[derive(Default)]
pub(crate) struct Waiting {
    by_source: [VecDeque<Held>; Source::ALL.len()],
}

impl Waiting {
    pub(crate) fn push(&mut self, held: Held) {
        let place = Source::ALL.iter().position(|source| *source == held.source);
        if let Some(queue) = place.and_then(|place| self.by_source.get_mut(place)) {
            queue.push_back(held);
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.by_source.iter().all(VecDeque::is_empty)
    }

    pub(crate) fn has_for(&self, free: FreeLanes) -> bool {
        Source::ALL
            .iter()
            .zip(&self.by_source)
            .any(|(source, queue)| free.allow(*source) && !queue.is_empty())
    }

    /// The first of the most preferred source that has a slot.
    pub(crate) fn pop_for(&mut self, free: FreeLanes) -> Option<Held> {
        let mut sources = Source::ALL.iter().zip(&mut self.by_source);
        sources.find_map(|(source, queue)| {
            if free.allow(*source) {
                queue.pop_front()
            } else {
                None
            }
        })
    }

    /// Those that have waited so long.
    pub(crate) fn older_than(&mut self, age: Duration) -> Vec<Held> {
        let mut old = Vec::new();
        for queue in &mut self.by_source {
            while queue
                .front()
                .is_some_and(|held| held.since.elapsed() >= age)
            {
                old.extend(queue.pop_front());
            }
        }
        old
    }
}

/// A delivery that workers died with. It is worked on while the worker does nothing else and has nothing
/// else in hand, so that the next death tells which it was.
#[derive(Default)]
pub(crate) struct Quarantine {
    suspect: Option<Held>,
    alone: bool,
}

impl Quarantine {
    /// Takes it, unless there is one already: then it comes back.
    pub(crate) fn take_in(&mut self, held: Held) -> Option<Held> {
        if self.suspect.is_some() || self.alone {
            return Some(held);
        }
        self.suspect = Some(held);
        None
    }

    pub(crate) const fn is_wanted(&self) -> bool {
        self.suspect.is_some()
    }

    /// The suspect; from now on it is alone.
    pub(crate) const fn next(&mut self) -> Option<Held> {
        let next = self.suspect.take();
        self.alone = next.is_some();
        next
    }

    /// Whether others may be taken again; `idle`: nothing is under way.
    pub(crate) const fn is_over(&self, idle: bool) -> bool {
        self.suspect.is_none() && (!self.alone || idle)
    }

    pub(crate) const fn end(&mut self) {
        self.alone = false;
    }
}

/// Deliveries whose successor no queue takes, and why, for people.
#[derive(Default)]
pub(crate) struct Unsettled {
    why: Mutex<BTreeMap<usize, String>>,
    next: AtomicUsize,
}

/// One delivery on its way to be settled; leaves the list when it is dropped.
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

    /// What keeps them, if there are any.
    pub(crate) fn cause(&self) -> Option<String> {
        let why = self.why.lock();
        let first = why.values().next()?;
        Some(format!(
            "{} deliveries are in hand that cannot be settled: {first}",
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

/// Who is being worked on, for people.
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
        let shown = users
            .keys()
            .take(SHOWN)
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(", ");
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
