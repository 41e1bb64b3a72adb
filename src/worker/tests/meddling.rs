//! A quota that is shared with somebody who does something while a call waits for its place.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::failure::Failure;
use crate::ports::{Place, QuotaClass, Quotas, Reservation, Window};

#[derive(Default)]
pub(super) struct Meddling {
    calls: AtomicU32,
    /// At which call, and what is written where.
    act: Mutex<Option<(u32, PathBuf, String)>>,
}

impl Meddling {
    /// Writes the text at this call, counted from now on.
    pub(super) fn arm(&self, call: u32, path: PathBuf, text: String) {
        self.calls.store(0, Ordering::SeqCst);
        *self.act.lock() = Some((call, path, text));
    }
}

#[async_trait]
impl Quotas for Meddling {
    async fn reserve(
        &self,
        _: QuotaClass,
        _: Window,
        _: u32,
        _: &[(Place, Instant)],
    ) -> Result<Reservation, Failure> {
        let call = self.calls.fetch_add(1, Ordering::SeqCst) + 1;
        let act = self.act.lock().take_if(|(at, ..)| *at == call);
        if let Some((_, path, text)) = act {
            std::fs::write(path, text).unwrap();
        }
        Ok(Reservation {
            places: vec![Place {
                slot: 0,
                use_id: 0,
                due: Instant::now() + Duration::from_millis(5),
            }],
            workers: 1,
            refused_lately: false,
        })
    }

    async fn cool_down(&self, _: QuotaClass, _: Duration, _: bool) -> Result<(), Failure> {
        Ok(())
    }
}
