//! How many users a worker runs at once, and of which lane.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::job::{Lane, Source};
use crate::ports::{LaneSlots, Lanes};
use crate::telemetry::metrics::InFlight;

/// The places for users in progress.
pub(crate) struct Slots {
    concurrency: usize,
    of_a_lane: usize,
    any: Arc<Semaphore>,
    access: Arc<Semaphore>,
    archive: Arc<Semaphore>,
}

/// What one user in progress holds; dropping it frees the slot.
pub(crate) struct Slot {
    _any: OwnedSemaphorePermit,
    _lane: OwnedSemaphorePermit,
    _counted: InFlight,
}

/// For which lanes a slot is free.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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

impl Slots {
    /// Each lane gets at most three quarters: archives take hours, and users who still have access must find a slot;
    /// those may wait for a quota that archives do not need.
    pub(crate) fn new(concurrency: usize) -> Self {
        let concurrency = concurrency.max(1);
        let of_a_lane = (concurrency * 3 / 4).max(1);
        Self {
            concurrency,
            of_a_lane,
            any: Arc::new(Semaphore::new(concurrency)),
            access: Arc::new(Semaphore::new(of_a_lane)),
            archive: Arc::new(Semaphore::new(of_a_lane)),
        }
    }

    pub(crate) fn in_use(&self) -> usize {
        self.concurrency
            .saturating_sub(self.any.available_permits())
    }

    /// How many slots each lane has and uses.
    pub(crate) fn lanes(&self) -> Lanes {
        let lane = |lane| LaneSlots {
            slots: self.of_a_lane,
            in_use: self
                .of_a_lane
                .saturating_sub(self.of(lane).available_permits()),
        };
        Lanes {
            access: lane(Lane::Access),
            archive: lane(Lane::Archive),
        }
    }

    /// `one_at_a_time`: a slot is free only while no user is in progress.
    pub(crate) fn free(&self, one_at_a_time: bool) -> FreeLanes {
        let any = if one_at_a_time {
            self.in_use() == 0
        } else {
            self.any.available_permits() > 0
        };
        let lane = |lane| any && self.of(lane).available_permits() > 0;
        FreeLanes {
            access: lane(Lane::Access),
            archive: lane(Lane::Archive),
        }
    }

    pub(crate) fn take(&self, lane: Lane) -> Option<Slot> {
        let any = Arc::clone(&self.any).try_acquire_owned().ok()?;
        let lane = Arc::clone(self.of(lane)).try_acquire_owned().ok()?;
        Some(Slot {
            _any: any,
            _lane: lane,
            _counted: InFlight::begin(),
        })
    }

    const fn of(&self, lane: Lane) -> &Arc<Semaphore> {
        match lane {
            Lane::Access | Lane::Whole => &self.access,
            Lane::Archive => &self.archive,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lane_leaves_a_quarter_of_the_slots_to_the_other() {
        let slots = Slots::new(4);
        let held: Vec<_> = (0..3).map(|_| slots.take(Lane::Archive).unwrap()).collect();
        assert!(slots.take(Lane::Archive).is_none());
        let access_only = FreeLanes {
            access: true,
            archive: false,
        };
        assert_eq!(slots.free(false), access_only);

        let last = slots.take(Lane::Access).unwrap();
        assert!(slots.take(Lane::Access).is_none());
        assert_eq!(slots.in_use(), 4);
        drop((held, last));
        assert_eq!(slots.in_use(), 0);
    }

    #[test]
    fn one_at_a_time_means_that_no_user_is_in_progress() {
        let slots = Slots::new(4);
        assert!(slots.free(true).access);
        let held = slots.take(Lane::Archive);
        assert!(!slots.free(true).access && slots.free(false).access);
        drop(held);
        assert!(slots.free(true).archive);
    }

    #[test]
    fn a_worker_without_concurrency_has_one_slot_for_either_lane() {
        let slots = Slots::new(0);
        let held = slots.take(Lane::Archive).unwrap();
        assert!(slots.take(Lane::Access).is_none());
        drop(held);
        assert!(slots.take(Lane::Access).is_some());
    }
}
