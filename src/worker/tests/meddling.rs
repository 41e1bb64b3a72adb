//! A quota that is shared with somebody who does something while a call waits for its place.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::time::Instant;

use super::Bench;
use crate::failure::Failure;
use crate::job::Request;
use crate::ports::{Place, QuotaClass, Quotas, Reservation, Window};
use crate::simulator::Options;
use crate::worker::Outcome;

type Act = Box<dyn FnOnce() + Send>;

#[derive(Default)]
pub(super) struct Meddling {
    calls: AtomicU32,
    /// At which call, and what is done.
    act: Mutex<Option<(u32, Act)>>,
}

impl Meddling {
    /// Writes the text at this call, counted from now on.
    pub(super) fn arm(&self, call: u32, path: PathBuf, text: String) {
        self.act_at(call, move || std::fs::write(path, text).unwrap());
    }

    /// Does this at this call, counted from now on.
    pub(super) fn act_at(&self, call: u32, act: impl FnOnce() + Send + 'static) {
        self.calls.store(0, Ordering::SeqCst);
        *self.act.lock() = Some((call, Box::new(act)));
    }
}

/// One user who is archived and may be deleted now, and the quota of its calls: the next run reads the routing again,
/// then sends the DELETE.
pub(super) async fn waits_for_its_deletion(request: Request) -> (Bench, Arc<Meddling>) {
    let quotas = Arc::new(Meddling::default());
    let options = Options {
        queues: 2,
        users: 1,
        ..Options::default()
    };
    let shared = Arc::clone(&quotas) as Arc<dyn Quotas>;
    let mut bench = Bench::with(options, shared, Some(1000.0)).await;
    bench.services.guards.delete_grace = Duration::from_hours(1);
    let outcome = bench.ask(0, request).await;
    assert!(matches!(outcome, Outcome::Delay { .. }), "{outcome:?}");
    bench.services.guards.delete_grace = Duration::ZERO;
    (bench, quotas)
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
        if let Some((_, act)) = act {
            act();
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
