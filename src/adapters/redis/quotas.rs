//! The tenant's quotas, shared by all workers.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use redis::Script;
use tokio::time::Instant;

use super::connection::RedisConnection;
use super::{keys, quota_scripts};
use crate::failure::Failure;
use crate::ports::{Place, QuotaClass, Quotas, Reservation, Window};

/// How long a 429 counts.
const REMEMBER_REFUSAL: Duration = Duration::from_mins(10);
/// After this the clocks of Redis and of this machine are compared again.
const SAME_CLOCK: Duration = Duration::from_secs(10);

pub(crate) struct RedisQuotas {
    connection: Arc<RedisConnection>,
    /// Distinguishes the processes that share the quotas.
    worker: String,
    reserve: Script,
    cool_down: Script,
    clock: Mutex<Option<RedisClock>>,
}

/// What time it was in Redis, from the shortest trip of the last seconds: a trip that takes long makes no place late.
#[derive(Clone, Copy)]
struct RedisClock {
    micros: u64,
    at: Instant,
    trip: Duration,
}

impl RedisClock {
    fn instant(self, micros: u64) -> Instant {
        if micros >= self.micros {
            self.at + Duration::from_micros(micros - self.micros)
        } else {
            let before = Duration::from_micros(self.micros - micros);
            self.at.checked_sub(before).unwrap_or(self.at)
        }
    }

    fn micros(self, instant: Instant) -> u64 {
        if instant >= self.at {
            self.micros + micros(instant - self.at)
        } else {
            self.micros.saturating_sub(micros(self.at - instant))
        }
    }
}

impl RedisQuotas {
    pub(crate) fn new(connection: Arc<RedisConnection>) -> Self {
        Self {
            connection,
            worker: uuid::Uuid::new_v4().to_string(),
            reserve: Script::new(quota_scripts::RESERVE),
            cool_down: Script::new(quota_scripts::COOL_DOWN),
            clock: Mutex::default(),
        }
    }

    fn clock(&self, latest: RedisClock) -> RedisClock {
        let mut clock = self.clock.lock();
        let is_same = |kept: &RedisClock| {
            let expected = kept.micros(latest.at);
            kept.at + SAME_CLOCK > latest.at
                && expected.abs_diff(latest.micros) <= micros(kept.trip + latest.trip)
        };
        let kept = clock.filter(is_same);
        let best = kept
            .filter(|kept| kept.trip < latest.trip)
            .unwrap_or(latest);
        *clock = Some(best);
        best
    }
}

#[async_trait]
impl Quotas for RedisQuotas {
    async fn reserve(
        &self,
        class: QuotaClass,
        window: Window,
        count: u32,
        free: &[(Place, Instant)],
    ) -> Result<Reservation, Failure> {
        let mut script = self.reserve.prepare_invoke();
        script.key(keys::quota(class)).key(keys::QUOTA_WORKERS);
        for part in ["slots", "pace", "refused"] {
            script.key(keys::quota_part(class, part));
        }
        script.arg(micros(window.length)).arg(window.calls);
        script.arg(count).arg(&self.worker);
        let known = *self.clock.lock();
        for (place, at) in free {
            if let Some(clock) = known {
                script
                    .arg(place.slot)
                    .arg(place.use_id)
                    .arg(clock.micros(*at));
            }
        }

        let begun = Instant::now();
        let answer: Vec<u64> = self.connection.run(&script).await?;
        let at = Instant::now();

        let [now, workers, refused, places @ ..] = answer.as_slice() else {
            return Ok(Reservation {
                places: Vec::new(),
                workers: 1,
                refused_lately: false,
            });
        };
        let clock = self.clock(RedisClock {
            micros: *now,
            at,
            trip: at - begun,
        });
        let place = |place: &[u64; 3]| {
            let [slot, due, use_id] = *place;
            Place {
                slot: u32::try_from(slot).unwrap_or_default(),
                use_id,
                due: clock.instant(due),
            }
        };
        Ok(Reservation {
            places: places.as_chunks().0.iter().map(place).collect(),
            workers: u32::try_from(*workers).unwrap_or(u32::MAX),
            refused_lately: *refused == 1,
        })
    }

    async fn cool_down(
        &self,
        class: QuotaClass,
        pause: Duration,
        refused: bool,
    ) -> Result<(), Failure> {
        let counts = if refused {
            REMEMBER_REFUSAL
        } else {
            Duration::ZERO
        };
        let mut script = self.cool_down.prepare_invoke();
        script
            .key(keys::quota(class))
            .key(keys::quota_part(class, "refused"));
        script.arg(micros(pause)).arg(micros(counts) / 1000);
        self.connection.run::<u64>(&script).await.map(|_done| ())
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
