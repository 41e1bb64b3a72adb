//! The quotas of a process that shares them with no other: in memory what `RESERVE` does in Redis.

use std::collections::HashMap;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::failure::Failure;
use crate::ports::{Place, QuotaClass, Quotas, Reservation, Window};

const REMEMBER_REFUSAL: Duration = Duration::from_mins(10);

#[derive(Default)]
pub(crate) struct LocalQuotas {
    classes: Mutex<HashMap<QuotaClass, Slots>>,
}

#[derive(Default)]
struct Slots {
    /// When each is free, and which use of it that follows.
    free: Vec<(Instant, u64)>,
    uses: u64,
    /// Slots that were free for some time are used at twice the rate: the next one not before this.
    pace: Option<Instant>,
    cool_until: Option<Instant>,
    refused_at: Option<Instant>,
}

impl Slots {
    fn take(&mut self, window: Window, count: u32, now: Instant) -> Vec<Place> {
        if self.free.len() != window.calls as usize {
            let even = |slot| (now + window.interval() * slot, 0);
            self.free = (0..window.calls).map(even).collect();
        }
        let ready = self.cool_until.map_or(now, |until| until.max(now));
        let mut places = Vec::new();

        while places.len() < count as usize {
            let Some((slot, (free, use_id))) =
                (0_u32..).zip(&mut self.free).min_by_key(|(_, (at, _))| *at)
            else {
                break;
            };
            if *free > now + window.length {
                break;
            }
            let due = if *free > ready {
                *free
            } else {
                let due = self.pace.map_or(ready, |pace| pace.max(ready));
                self.pace = Some(due + window.interval() / 2);
                due
            };
            self.uses += 1;
            *free = due + window.length * 2;
            *use_id = self.uses;
            places.push(Place {
                slot,
                use_id: self.uses,
                due,
            });
        }
        places
    }
}

#[async_trait]
impl Quotas for LocalQuotas {
    async fn reserve(
        &self,
        class: QuotaClass,
        window: Window,
        count: u32,
        free: &[(Place, Instant)],
    ) -> Result<Reservation, Failure> {
        let now = Instant::now();
        let mut classes = self.classes.lock();
        let slots = classes.entry(class).or_default();
        for (place, at) in free {
            if let Some(slot) = slots.free.get_mut(place.slot as usize)
                && slot.1 == place.use_id
            {
                slot.0 = *at;
            }
        }
        Ok(Reservation {
            places: slots.take(window, count, now),
            workers: 1,
            refused_lately: slots
                .refused_at
                .is_some_and(|at| now < at + REMEMBER_REFUSAL),
        })
    }

    async fn cool_down(
        &self,
        class: QuotaClass,
        pause: Duration,
        refused: bool,
    ) -> Result<(), Failure> {
        let now = Instant::now();
        let mut classes = self.classes.lock();
        let slots = classes.entry(class).or_default();
        slots.cool_until = slots.cool_until.max(Some(now + pause));
        if refused {
            slots.refused_at = Some(now);
        }
        Ok(())
    }
}
