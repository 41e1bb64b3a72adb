//! A TCP proxy in front of a server, whose connections a test can cut, and which can be down.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_util::task::AbortOnDropHandle;

pub(super) struct Proxy {
    pub(super) port: u16,
    upstream: String,
    connections: Arc<Mutex<JoinSet<()>>>,
    accepted: Arc<AtomicUsize>,
    listening: Option<AbortOnDropHandle<()>>,
}

impl Proxy {
    pub(super) async fn start(upstream: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut proxy = Self {
            port: listener.local_addr().unwrap().port(),
            upstream,
            connections: Arc::default(),
            accepted: Arc::default(),
            listening: None,
        };
        proxy.listen(listener);
        proxy
    }

    fn listen(&mut self, listener: TcpListener) {
        let upstream = self.upstream.clone();
        let connections = Arc::clone(&self.connections);
        let accepted = Arc::clone(&self.accepted);
        let listening = tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                accepted.fetch_add(1, Ordering::SeqCst);
                let mut server = TcpStream::connect(&upstream).await.unwrap();
                connections.lock().spawn(async move {
                    tokio::io::copy_bidirectional(&mut client, &mut server)
                        .await
                        .ok();
                });
            }
        });
        self.listening = Some(AbortOnDropHandle::new(listening));
    }

    /// Closes all connections, as a server does that is killed and started again at once.
    pub(super) async fn cut(&self) {
        let mut connections = std::mem::take(&mut *self.connections.lock());
        connections.shutdown().await;
    }

    /// Closes all connections and takes no new ones.
    pub(super) async fn stop(&mut self) {
        if let Some(listening) = self.listening.take() {
            listening.abort();
            listening.await.ok();
        }
        self.cut().await;
    }

    /// Takes connections again, on the same port.
    pub(super) async fn restart(&mut self) {
        let listener = TcpListener::bind(("127.0.0.1", self.port)).await.unwrap();
        self.listen(listener);
    }

    /// How many connections were opened so far.
    pub(super) fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }
}
