//! `/api/v1`: what the commands do, over HTTP. The handlers call the same operations as the commands.

mod about;
pub(super) mod audit_log;
pub(super) mod batch_history;
pub(super) mod batch_matching;
pub(super) mod batch_pause;
pub(super) mod batch_report;
pub(super) mod batch_users;
pub(super) mod batches;
pub(super) mod begun;
pub(super) mod cancel;
pub(super) mod dead_letter_groups;
pub(super) mod dead_letters;
mod deployment;
pub(super) mod evidence;
pub(super) mod evidence_log;
pub(super) mod holds;
pub(super) mod limits;
pub(super) mod operations;
pub(super) mod overview;
pub(super) mod pause;
mod plan;
pub(super) mod plan_decisions;
pub(super) mod plans;
mod rate;
pub(super) mod reactivate;
mod routes;
mod shared;
mod signed;
mod submit;
pub(super) mod urgent;
pub(super) mod users;
pub(super) mod workers;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::Request;
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, Method, Uri};
use axum::middleware::Next;
use axum::response::Response;
use futures_util::FutureExt as _;
use jiff::Timestamp;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;

use super::caller::{Caller, SignIn};
use super::connections::Client;
use super::gate::{Access, Gate, Refusal};
use super::guesses::Guesses;
use super::problem::Problem;
use super::reach::Reach;
use super::sessions::SessionDesk;
use crate::address::RunbookUrl;
use crate::operations::fleet::FleetSources;
use crate::operations::operation::Place;
use crate::ports::SharedStores;
use crate::ports::queue::Broker;
use crate::ports::views::Views;
use crate::registers::StopRegister;
use crate::steps::Services;
use crate::telemetry::metrics;
pub(super) use about::OPENAPI;
pub(crate) use deployment::{Deployment, KnownLog, ShownSetting};
pub(super) use routes::guarded;
use shared::Shared;
pub(crate) use signed::Signed;

/// The time limit of a read.
const READ_WITHIN: Duration = Duration::from_secs(30);
/// The time limit of a change. To freeze the set of an operation, each dead letter is assessed.
const CHANGE_WITHIN: Duration = Duration::from_mins(15);
/// The limit of requests in progress; lower than the limit of connections, so that probes find one.
const AT_ONCE: usize = 64;
/// The limit of those among them that take the tenant's quota, or read very much: plans, checks of evidence, series.
const COSTLY_AT_ONCE: usize = 2;

/// What the API works with.
#[derive(Clone)]
pub(crate) struct Api(Arc<Inner>);

struct Inner {
    worker: String,
    gate: Gate,
    guesses: Guesses,
    slots: Semaphore,
    costly: Semaphore,
    services: Arc<Services>,
    /// A connection of its own, so that requests and the work of the worker do not wait for each other.
    stores: SharedStores,
    broker: Arc<dyn Broker>,
    fleet: FleetSources,
    deployment: Deployment,
    shared: Shared,
}

impl Api {
    /// For the worker of this name.
    pub(crate) fn new(
        worker: &str,
        access: Access,
        services: Arc<Services>,
        stores: SharedStores,
        broker: Arc<dyn Broker>,
        deployment: Deployment,
    ) -> Self {
        let fleet = FleetSources {
            workers: Arc::clone(&stores.workers),
            store: Ok(Arc::clone(&services.archive_store)),
            queues: Some(Ok(broker.publisher(1))),
            orders: StopRegister::default(),
        };
        Self(Arc::new(Inner {
            worker: worker.to_owned(),
            gate: Gate::new(access),
            guesses: Guesses::default(),
            slots: Semaphore::new(AT_ONCE),
            costly: Semaphore::new(COSTLY_AT_ONCE),
            services,
            stores,
            broker,
            fleet,
            deployment,
            shared: Shared::default(),
        }))
    }

    /// The deployment's copy of the runbook.
    pub(super) fn runbook(&self) -> Option<&RunbookUrl> {
        self.0.deployment.runbook.as_ref()
    }

    /// The worker that answers.
    pub(super) fn worker(&self) -> &str {
        &self.0.worker
    }

    /// The environment's name.
    pub(super) fn environment(&self) -> Option<&str> {
        self.0.deployment.environment.as_deref()
    }

    /// The saved views of the console.
    pub(super) fn views(&self) -> &dyn Views {
        &*self.0.stores.views
    }

    /// The sign-in of the console.
    pub(super) fn session_desk(&self, is_loopback: bool) -> SessionDesk {
        let inner = &self.0;
        SessionDesk::new(
            inner.gate.people_watch(),
            Arc::clone(&inner.stores.sessions),
            Reach::new(inner.deployment.origin.clone(), is_loopback),
            inner.services.clock.clone(),
        )
    }

    pub(super) fn now(&self) -> Timestamp {
        self.0.services.clock.now()
    }

    /// Where operations are.
    fn operations(&self) -> Place {
        Place {
            store: Arc::clone(&self.0.services.archive_store),
            operations: Arc::clone(&self.0.stores.operations),
            clock: self.0.services.clock.clone(),
        }
    }
}

impl Inner {
    /// A slot for a request that costs much; it is kept until the answer is made.
    fn costly(&self) -> Result<SemaphorePermit<'_>, Problem> {
        let busy = |_none_left| Problem::costly_overloaded(COSTLY_AT_ONCE);
        self.costly.try_acquire().map_err(busy)
    }
}

impl Api {
    /// Delays a client that guesses tokens.
    pub(super) async fn slow_down(&self, client: &Client, headers: &HeaderMap) {
        if headers.contains_key(AUTHORIZATION) {
            tokio::time::sleep(self.0.guesses.wait(client.peer, Instant::now())).await;
        }
    }

    /// Checks the token, and counts the requests that are refused.
    pub(super) fn admit(
        &self,
        client: &Client,
        method: &Method,
        uri: &Uri,
        headers: &HeaderMap,
    ) -> Result<Caller, Problem> {
        let api = &self.0;
        // The document says nothing about this deployment.
        let is_open = uri.path() == OPENAPI;
        let Refusal { problem, reason } = match api.gate.admit(client.peer, method, uri, headers) {
            Ok(caller) => return Ok(caller),
            Err(refusal) if is_open && refusal.problem.asks_for_a_token() => {
                return Ok(Caller::token(SignIn::ReadToken, true));
            }
            Err(refusal) => refusal,
        };
        metrics::admin_refused(reason);
        if reason == "wrong_token"
            && let Some(tokens) = api.guesses.wrong(client.peer, Instant::now())
        {
            tracing::warn!(peer = %client.peer, tokens, "clients sent wrong tokens to the admin API");
        }

        Err(*problem)
    }

    /// Answers a request of this caller, within the limits of this worker.
    pub(super) async fn serve(
        &self,
        client: &Client,
        caller: Caller,
        mut request: Request,
        next: Next,
    ) -> Result<Response, Problem> {
        let Ok(_slot) = self.0.slots.try_acquire() else {
            return Err(Problem::overloaded());
        };
        let _serving = client.serving();
        request.extensions_mut().insert(caller);
        let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
        let answer = AssertUnwindSafe(next.run(request)).catch_unwind();
        // A change keeps running after its request has ended, and has a time limit of its own.
        let within = if is_read { READ_WITHIN } else { CHANGE_WITHIN };

        let answered = tokio::time::timeout(within, answer).await;
        if !is_read {
            self.0.shared.changed();
        }
        match answered {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(_panic)) => Err(Problem::panicked()),
            Err(_elapsed) => Err(Problem::timeout(within)),
        }
    }
}

/// Runs a change to its end, even if the client disconnects.
async fn to_its_end<T: Send + 'static>(
    change: impl Future<Output = Result<T, Problem>> + Send + 'static,
) -> Result<T, Problem> {
    match tokio::spawn(tokio::time::timeout(CHANGE_WITHIN, change)).await {
        Ok(Ok(result)) => result,
        Ok(Err(_elapsed)) => Err(Problem::timeout(CHANGE_WITHIN)),
        Err(_panic) => Err(Problem::panicked()),
    }
}

fn limit(given: Option<u64>, default: usize) -> usize {
    given.map_or(default, |limit| {
        usize::try_from(limit).unwrap_or(usize::MAX)
    })
}
