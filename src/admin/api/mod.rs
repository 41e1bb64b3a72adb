//! `/api/v1`: what the commands do, over HTTP, by the same code and in the same words.

mod acts;
mod batches;
mod dead_letters;
mod holds;
mod pause;
mod users;
mod workers;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::header::AUTHORIZATION;
use axum::http::{Method, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use axum::{Extension, Router};
use futures_util::FutureExt as _;
use serde::Deserialize;
use tokio::sync::{Mutex, Semaphore};
use tokio::time::Instant;
use utoipa::ToSchema;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::connections::Client;
use super::gate::{Gate, Role};
use super::guesses::Guesses;
use super::openapi;
use super::problem::Problem;
use super::read::Line;
use crate::config::Admin;
use crate::ports::SharedStores;
use crate::ports::queue::Broker;
use crate::registers::audit_log::By;
use crate::steps::Services;
use crate::telemetry::metrics;

/// No look takes longer, whatever is out of reach.
const LOOK_WITHIN: Duration = Duration::from_secs(30);
/// Nor does an act. The slowest replay that can be asked for takes less than nine minutes.
const ACT_WITHIN: Duration = Duration::from_mins(15);
/// Requests that are answered at once; fewer than there are connections, so that probes find one.
const AT_ONCE: usize = 64;

/// What the API works with.
#[derive(Clone)]
pub(crate) struct Api(Arc<Inner>);

struct Inner {
    worker: String,
    gate: Gate,
    guesses: Guesses,
    places: Semaphore,
    services: Arc<Services>,
    /// A connection of its own, so that what is asked here waits for no work and keeps none waiting.
    stores: SharedStores,
    broker: Arc<dyn Broker>,
    /// One replay or discard at a time.
    letters: Arc<Mutex<()>>,
}

impl Api {
    /// As the worker of this name.
    pub(crate) fn new(
        worker: &str,
        settings: &Admin,
        services: Arc<Services>,
        stores: SharedStores,
        broker: Arc<dyn Broker>,
    ) -> Self {
        let (worker, gate) = (worker.to_owned(), Gate::new(settings));
        let (guesses, places) = (Guesses::default(), Semaphore::new(AT_ONCE));
        Self(Arc::new(Inner {
            worker,
            gate,
            guesses,
            places,
            services,
            stores,
            broker,
            letters: Arc::default(),
        }))
    }

    /// Who acts: the client's word for it, and what we know ourselves.
    fn by(&self, Signed { who, why }: Signed, role: Role) -> By {
        let who = format!(
            "{}, by the admin API of {} ({})",
            who.as_str(),
            self.0.worker,
            role.as_str()
        );
        By {
            who,
            why: Some(why.as_str().to_owned()),
        }
    }
}

/// Who acts, and why. Both go into the log of acts.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Signed {
    /// Who, as the client says. The log of acts adds which worker was asked, and with which token.
    who: Line,
    /// Why, for those who look later.
    why: Line,
}

/// The routes, and the document that describes them.
pub(super) fn routes() -> (Router<Api>, OpenApi) {
    let (routes, mut document) = OpenApiRouter::with_openapi(openapi::head())
        .routes(routes!(users::show))
        .routes(routes!(batches::list))
        .routes(routes!(batches::show))
        .routes(routes!(dead_letters::list))
        .routes(routes!(dead_letters::groups))
        .routes(routes!(dead_letters::show))
        .routes(routes!(dead_letters::replay))
        .routes(routes!(dead_letters::discard))
        .routes(routes!(workers::list))
        .routes(routes!(pause::show, pause::pause))
        .routes(routes!(pause::resume))
        .routes(routes!(holds::list, holds::add))
        .routes(routes!(holds::show))
        .routes(routes!(holds::remove))
        .routes(routes!(acts::list))
        .routes(routes!(openapi::show))
        .split_for_parts();
    openapi::complete(&mut document);
    (routes, document)
}

/// The routes behind the gate. Whatever goes wrong there is told as a problem.
pub(super) fn guarded(api: &Api) -> Router {
    let nowhere = || async {
        Problem::not_found(
            "not_found",
            "there is no such path; see /api/v1/openapi.json",
        )
    };
    let no_method = || async {
        let detail =
            "the path does not know this method; the header Allow names those that it does";
        Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", detail)
    };
    let (routes, _document) = routes();
    routes
        .route("/api/v1", axum::routing::any(nowhere))
        .route("/api/v1/{*rest}", axum::routing::any(nowhere))
        .method_not_allowed_fallback(no_method)
        .layer(from_fn_with_state(api.clone(), guard))
        .with_state(api.clone())
}

async fn guard(
    State(api): State<Api>,
    Extension(client): Extension<Client>,
    mut request: Request,
    next: Next,
) -> Response {
    let gave_a_token = request.headers().contains_key(AUTHORIZATION);
    if gave_a_token {
        tokio::time::sleep(api.0.guesses.wait(client.peer, Instant::now())).await;
    }
    let role = match admit(&api.0, &client, &request, gave_a_token) {
        Ok(role) => role,
        Err(problem) => return problem.into_response(),
    };
    let Ok(_place) = api.0.places.try_acquire() else {
        return Problem::overloaded().into_response();
    };
    let _serving = client.serving();
    request.extensions_mut().insert(role);
    let looks = matches!(*request.method(), Method::GET | Method::HEAD);
    let answer = AssertUnwindSafe(next.run(request)).catch_unwind();
    // An act has its own time, and runs on without us.
    let within = if looks { LOOK_WITHIN } else { ACT_WITHIN };
    match tokio::time::timeout(within, answer).await {
        Ok(Ok(response)) => response,
        Ok(Err(_panic)) => Problem::panicked().into_response(),
        Err(_elapsed) => Problem::timeout(within).into_response(),
    }
}

/// Asks the gate, and counts whom it refuses.
fn admit(
    api: &Inner,
    client: &Client,
    request: &Request,
    gave_a_token: bool,
) -> Result<Role, Problem> {
    // The document holds nothing of this deployment.
    let open = request.uri().path() == openapi::PATH;
    let problem = match api
        .gate
        .admit(request.method(), request.uri(), request.headers())
    {
        Ok(role) => return Ok(role),
        Err(problem) if open && problem.asks_for_a_token() => return Ok(Role::Reader),
        Err(problem) => problem,
    };
    metrics::admin_refused(problem.refusal(gave_a_token));
    if problem.asks_for_a_token()
        && gave_a_token
        && let Some(tokens) = api.guesses.wrong(client.peer, Instant::now())
    {
        tracing::warn!(peer = %client.peer, tokens, "the admin API was given wrong tokens");
    }
    Err(problem)
}

/// Runs an act to its end, though the client may hang up.
async fn to_its_end<T: Send + 'static>(
    act: impl Future<Output = Result<T, Problem>> + Send + 'static,
) -> Result<T, Problem> {
    match tokio::spawn(tokio::time::timeout(ACT_WITHIN, act)).await {
        Ok(Ok(result)) => result,
        Ok(Err(_elapsed)) => Err(Problem::timeout(ACT_WITHIN)),
        Err(_panic) => Err(Problem::panicked()),
    }
}

fn limit(given: Option<u64>, default: usize) -> usize {
    given.map_or(default, |limit| {
        usize::try_from(limit).unwrap_or(usize::MAX)
    })
}
