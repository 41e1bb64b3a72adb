//! The HTTP side of a worker: is it alive, is it ready, and why not.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// Why no users are taken now; empty when they are.
pub type Causes = Arc<dyn Fn() -> Vec<String> + Send + Sync>;

/// Listens, and serves as long as the process lives. The address that was bound is in the log.
pub async fn serve(listen: SocketAddr, causes: Causes) -> std::io::Result<()> {
    let listener = TcpListener::bind(listen).await?;
    tracing::info!(listen = %listener.local_addr()?, "admin HTTP");
    let routes = Router::new()
        .route("/healthz", get(|| async { Json(json!({"status": "ok"})) }))
        .route("/readyz", get(readyz))
        .with_state(causes);
    tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, routes).await {
            tracing::error!(%error, "admin HTTP ended");
        }
    });
    Ok(())
}

async fn readyz(State(causes): State<Causes>) -> (StatusCode, Json<Value>) {
    let causes = causes();
    let status = if causes.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(json!({"ready": causes.is_empty(), "causes": causes})))
}
