//! The HTTP server of a worker: `/healthz`, `/readyz`, `/metrics`, the console, and the API for operators.

mod api;
mod caller;
mod connections;
mod console;
mod etag;
mod gate;
mod guesses;
mod jwt;
mod members;
#[cfg(test)]
mod openapi;
mod picked;
mod problem;
mod reach;
mod read;
mod sessions;
mod tries;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn, map_response};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Map, Value, json};
use tokio::net::TcpListener;

use crate::address::RunbookUrl;
use crate::operations::runbook::code_of;
use crate::telemetry::metrics::{self, Exposition};
use problem::Problem;

pub(crate) use api::{Api, Deployment, KnownLog, ShownSetting};
pub(crate) use gate::Access;
pub(crate) use jwt::{JwtRules, JwtVerifier};

/// What `/readyz` and `/healthz` ask the process; empty if all is well.
pub(crate) trait ProcessState: Send + Sync {
    /// Why it takes no users now.
    fn not_ready_because(&self) -> Vec<String>;

    /// What keeps some users waiting while others are taken.
    fn notices(&self) -> Vec<String> {
        Vec::new()
    }

    /// Why a restart would help.
    fn unhealthy_because(&self) -> Vec<String>;
}

#[derive(Clone)]
struct Probes {
    process: Arc<dyn ProcessState>,
    metrics: Exposition,
    runbook: Option<RunbookUrl>,
}

/// Listens, and serves until the process ends. Returns the address that was bound, and logs it.
pub(crate) async fn serve(
    listen: SocketAddr,
    process: Arc<dyn ProcessState>,
    metrics: Exposition,
    api: &Api,
) -> std::io::Result<SocketAddr> {
    let runbook = api.runbook().cloned();
    let listener = TcpListener::bind(listen).await?;
    let listen = listener.local_addr()?;

    tracing::info!(%listen, "admin HTTP");
    let routes = Router::new()
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/metrics", get(exposition))
        .with_state(Probes {
            process,
            metrics,
            runbook: runbook.clone(),
        });
    // A worker that other machines can reach is called by its name.
    let routes = if listen.ip().is_loopback() {
        routes.layer(from_fn(this_host))
    } else {
        routes
    };
    let routes = routes
        .merge(console::routes(api, listen))
        .merge(api::guarded(api))
        .layer(map_response(move |response| {
            std::future::ready(problem::linked(response, runbook.as_ref()))
        }))
        .layer(map_response(for_programs));
    tokio::spawn(connections::serve(listener, routes));

    Ok(listen)
}

async fn this_host(request: Request, next: Next) -> Response {
    if gate::is_of_another_host(request.uri(), request.headers()) {
        metrics::admin_refused("foreign_host");
        let detail = "this worker listens on loopback; use localhost or an address as the Host";
        return Problem::new(StatusCode::FORBIDDEN, "foreign_host", detail).into_response();
    }
    next.run(request).await
}

/// Keeps browsers from guessing what a response is, and from storing it if it may change.
async fn for_programs(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    response
}

async fn healthz(State(probes): State<Probes>) -> (StatusCode, Json<Value>) {
    let reasons = probes.process.unhealthy_because();
    if reasons.is_empty() {
        return (StatusCode::OK, Json(json!({"status": "ok"})));
    }
    (
        StatusCode::SERVICE_UNAVAILABLE,
        Json(json!({"status": "unhealthy", "causes": reasons})),
    )
}

async fn readyz(State(probes): State<Probes>) -> (StatusCode, Json<Value>) {
    let causes = probes.process.not_ready_because();
    let status = if causes.is_empty() {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    let mut answer = Map::from_iter([
        ("ready".to_owned(), json!(causes.is_empty())),
        ("causes".to_owned(), json!(causes)),
    ]);
    let notices = probes.process.notices();
    if !notices.is_empty() {
        answer.insert("notices".to_owned(), json!(notices));
    }
    if let Some(runbook) = &probes.runbook {
        let codes = causes.iter().filter_map(|cause| code_of(cause));
        let links: BTreeMap<&str, String> = codes
            .map(|code| (code.as_str(), runbook.section(code.as_str())))
            .collect();
        answer.insert("runbook".to_owned(), json!(links));
    }
    (status, Json(answer.into()))
}

async fn exposition(State(probes): State<Probes>) -> Response {
    match probes.metrics.text() {
        Ok(text) => ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error).into_response(),
    }
}
