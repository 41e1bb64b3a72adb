//! The HTTP side of a worker: is it alive, is it ready, and why not; its metrics; and the API for operators.

mod api;
mod connections;
mod gate;
mod guesses;
mod openapi;
mod problem;
mod read;

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn, map_response};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::telemetry::metrics::{self, Exposition};
use problem::Problem;

pub(crate) use api::Api;

/// Why no users are taken now, or why a restart would help; empty when all is well.
pub(crate) type Causes = Arc<dyn Fn() -> Vec<String> + Send + Sync>;

#[derive(Clone)]
struct Seen {
    causes: Causes,
    ills: Causes,
    metrics: Exposition,
}

/// Listens, and serves as long as the process lives. Gives the address that was bound, which is in the log, too.
pub(crate) async fn serve(
    listen: SocketAddr,
    causes: Causes,
    ills: Causes,
    metrics: Exposition,
    api: &Api,
) -> std::io::Result<SocketAddr> {
    let listener = TcpListener::bind(listen).await?;
    let listen = listener.local_addr()?;
    tracing::info!(%listen, "admin HTTP");
    let routes = Router::new()
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/metrics", get(exposition))
        .with_state(Seen {
            causes,
            ills,
            metrics,
        });
    // Beyond loopback a name is what others call us by.
    let routes = if listen.ip().is_loopback() {
        routes.layer(from_fn(this_host))
    } else {
        routes
    };
    let routes = routes
        .merge(api::guarded(api))
        .layer(map_response(for_programs));
    tokio::spawn(connections::serve(listener, routes));
    Ok(listen)
}

async fn this_host(request: Request, next: Next) -> Response {
    if gate::is_of_another_host(request.uri(), request.headers()) {
        metrics::admin_refused("foreign_host");
        let detail = "this worker listens on loopback; name localhost or an address as the Host";
        return Problem::new(StatusCode::FORBIDDEN, "foreign_host", detail).into_response();
    }
    next.run(request).await
}

/// No browser is to keep an answer, or to take it for a page.
async fn for_programs(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

async fn healthz(State(seen): State<Seen>) -> (StatusCode, Json<Value>) {
    let ills = (seen.ills)();
    if ills.is_empty() {
        return (StatusCode::OK, Json(json!({"status": "ok"})));
    }
    (
        StatusCode::SERVICE_UNAVAILABLE,
        Json(json!({"status": "unhealthy", "causes": ills})),
    )
}

async fn readyz(State(seen): State<Seen>) -> (StatusCode, Json<Value>) {
    let causes = (seen.causes)();
    let status = if causes.is_empty() {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (
        status,
        Json(json!({"ready": causes.is_empty(), "causes": causes})),
    )
}

async fn exposition(State(seen): State<Seen>) -> Response {
    match seen.metrics.text() {
        Ok(text) => ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error).into_response(),
    }
}
