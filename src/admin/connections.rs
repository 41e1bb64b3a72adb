use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::serve::Listener;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

/// Connections at once: what clients do must not use up the files that the work needs.
const CONNECTIONS: usize = 256;
/// How long a client may take to send a head, and to send none on an open connection.
const HEAD_WITHIN: Duration = Duration::from_secs(10);
/// A client that takes its answers slower than this is left.
const LONGEST: Duration = Duration::from_mins(30);

/// Serves as long as the process lives.
pub(super) async fn serve(mut listener: TcpListener, routes: Router) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        // Never closed. A failed accept, such as one for want of files, is tried again by the listener.
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let (stream, _client) = Listener::accept(&mut listener).await;
        let routes = routes.clone();
        tokio::spawn(async move {
            connection(stream, routes).await;
            drop(place);
        });
    }
}

async fn connection(stream: TcpStream, routes: Router) {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_WITHIN);
    let serving = http.serve_connection(TokioIo::new(stream), TowerToHyperService::new(routes));
    match tokio::time::timeout(LONGEST, serving).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "a client of the admin HTTP"),
        Err(_elapsed) => tracing::debug!("a client of the admin HTTP was left: its connection is too old"),
    }
}
