//! Limits the connections of the admin HTTP. Every connection is accepted, because the next one may be a probe; over the
//! limit, the oldest connection that has no request in progress is closed. (tower's limits make new clients wait instead.)

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::serve::Listener;
use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use parking_lot::Mutex;
use tokio::net::{TcpListener, TcpStream};
use tokio_io_timeout::TimeoutStream;
use tokio_util::sync::CancellationToken;

/// The limit of open connections: clients must not use up the file descriptors that the work needs.
const CONNECTIONS: usize = 256;
/// How long a client may take to send the head of a request, and how long a connection may be idle.
const HEAD_WITHIN: Duration = Duration::from_secs(10);
/// How long a client may read nothing of its response.
const READ_WITHIN: Duration = Duration::from_secs(10);
/// A connection that is older is closed.
const MAX_AGE: Duration = Duration::from_mins(30);

/// The other end of a connection; handlers receive it.
#[derive(Debug, Clone)]
pub(super) struct Client {
    pub(super) peer: IpAddr,
    is_served: Arc<AtomicBool>,
}

impl Client {
    pub(super) fn new(peer: IpAddr) -> Self {
        Self {
            peer,
            is_served: Arc::default(),
        }
    }

    /// Keeps the connection from being closed in favour of others for as long as the result lives.
    pub(super) fn serving(&self) -> Serving {
        self.is_served.store(true, Ordering::Relaxed);
        Serving(self.clone())
    }
}

pub(super) struct Serving(Client);

impl Drop for Serving {
    fn drop(&mut self) {
        self.0.is_served.store(false, Ordering::Relaxed);
    }
}

/// The open connections, oldest first.
#[derive(Default)]
struct OpenConnections(Mutex<BTreeMap<u64, (Client, CancellationToken)>>);

impl OpenConnections {
    /// Adds a connection, and closes others over the limit. The token is cancelled when this one is to be closed.
    fn add(&self, number: u64, client: Client) -> CancellationToken {
        let mut open = self.0.lock();
        while open.len() >= CONNECTIONS {
            let idle = open
                .iter()
                .find(|(_, (client, _))| !client.is_served.load(Ordering::Relaxed));
            let Some(number) = idle
                .map(|(number, _)| *number)
                .or_else(|| open.keys().next().copied())
            else {
                break;
            };
            if let Some((client, cut)) = open.remove(&number) {
                tracing::debug!(peer = %client.peer, "a client of the admin HTTP is disconnected: there are too many connections");
                cut.cancel();
            }
        }
        let cut = CancellationToken::new();
        open.insert(number, (client, cut.clone()));

        cut
    }

    fn remove(&self, number: u64) {
        self.0.lock().remove(&number);
    }
}

/// Serves until the process ends.
pub(super) async fn serve(mut listener: TcpListener, routes: Router) {
    let open = Arc::new(OpenConnections::default());
    for number in 0.. {
        // The listener retries a failed accept, e.g. for lack of file descriptors.
        let (stream, peer) = Listener::accept(&mut listener).await;
        let client = Client::new(peer.ip());
        let cut = open.add(number, client.clone());
        let routes = routes.clone().layer(Extension(client));
        let open = Arc::clone(&open);
        tokio::spawn(async move {
            tokio::select! {
                () = cut.cancelled() => {}
                () = connection(stream, routes, READ_WITHIN) => {}
            }
            open.remove(number);
        });
    }
}

async fn connection(stream: TcpStream, routes: Router, read_within: Duration) {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(HEAD_WITHIN);
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(read_within));
    let stream = TokioIo::new(Box::pin(stream));
    let serving = http.serve_connection(stream, TowerToHyperService::new(routes));

    match tokio::time::timeout(MAX_AGE, serving).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => {
            tracing::debug!(%error, "the connection of a client of the admin HTTP failed");
        }
        Err(_elapsed) => {
            tracing::debug!(
                "a client of the admin HTTP is disconnected: its connection is too old"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use axum::routing::get;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    /// More than a socket buffers.
    const LARGE: usize = 32 * 1024 * 1024;
    const PATIENCE: Duration = Duration::from_mins(1);

    fn routes() -> Router {
        let large = || async { "x".repeat(LARGE) };
        Router::new()
            .route("/healthz", get(|| async { "ok" }))
            .route("/metrics", get(large))
    }

    async fn asks(at: SocketAddr, path: &str) -> TcpStream {
        let mut client = TcpStream::connect(at).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n");
        client
            .write_all(request.repeat(2).as_bytes())
            .await
            .unwrap();
        client
    }

    #[tokio::test]
    async fn probes_are_answered_while_more_clients_than_the_limit_read_nothing() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        let small = || async { "x".repeat(64 * 1024) };
        let routes = routes().route("/small", get(small));
        let serving = tokio::spawn(serve(listener, routes));
        let mut deaf = Vec::new();
        for _client in 0..CONNECTIONS + 4 {
            deaf.push(asks(at, "/small").await);
        }
        for _probe in 0..8 {
            let mut probe = asks(at, "/healthz").await;
            let mut answer = [0; 15];
            tokio::time::timeout(PATIENCE, probe.read_exact(&mut answer))
                .await
                .unwrap()
                .unwrap();
            assert_eq!(&answer, b"HTTP/1.1 200 OK");
            deaf.push(probe);
        }
        serving.abort();
    }

    #[tokio::test]
    async fn a_client_that_does_not_read_is_disconnected_and_one_that_reads_slowly_is_not() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        let deaf = asks(at, "/metrics").await;
        let (stream, _peer) = listener.accept().await.unwrap();
        let ended = connection(stream, routes(), Duration::from_millis(100));
        tokio::time::timeout(PATIENCE, ended)
            .await
            .expect("it is disconnected");
        drop(deaf);

        let mut reader = asks(at, "/metrics").await;
        let (stream, _peer) = listener.accept().await.unwrap();
        let serving = tokio::spawn(connection(stream, routes(), PATIENCE));
        let mut taken = vec![0; LARGE];
        tokio::time::timeout(PATIENCE, reader.read_exact(&mut taken))
            .await
            .unwrap()
            .unwrap();
        serving.abort();
    }

    #[test]
    fn the_oldest_idle_connection_makes_room() {
        let open = OpenConnections::default();
        let served = Client::new([127, 0, 0, 1].into());
        let serving = served.serving();
        let first = open.add(0, served.clone());
        let rest: Vec<_> = (1..CONNECTIONS as u64 + 2)
            .map(|number| open.add(number, Client::new([127, 0, 0, 1].into())))
            .collect();
        assert!(!first.is_cancelled() && rest[0].is_cancelled() && rest[1].is_cancelled());
        assert!(rest[2..].iter().all(|place| !place.is_cancelled()));
        drop(serving);
        open.remove(3);
        open.add(1000, Client::new([127, 0, 0, 1].into()));
        assert!(!first.is_cancelled(), "there was room");
        open.add(1001, served);
        assert!(first.is_cancelled());
    }
}
