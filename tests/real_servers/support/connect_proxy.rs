//! A proxy for HTTPS, as companies have it: it wants a password, and connects (`CONNECT`) to one place only, whatever it is
//! asked for.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use parking_lot::Mutex;

/// Longer than any request of a test takes, so that no thread outlives its test for long.
const PATIENCE: Duration = Duration::from_secs(30);
pub(crate) const PASSWORD: &str = "hunter2";
/// `user:hunter2`.
const LOGIN: &str = "proxy-authorization: basic dxnlcjpodw50zxiy";

#[derive(Default)]
struct State {
    /// The first lines of what was asked for.
    asked: Vec<String>,
    ended: bool,
}

/// Ends with its owner.
pub(crate) struct ConnectProxy {
    port: u16,
    state: Arc<Mutex<State>>,
    accepting: Option<JoinHandle<()>>,
}

impl ConnectProxy {
    pub(crate) fn to(upstream: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let state = Arc::<Mutex<State>>::default();
        let accepting = {
            let state = Arc::clone(&state);
            thread::spawn(move || accept(&listener, upstream, &state))
        };
        Self {
            port,
            state,
            accepting: Some(accepting),
        }
    }

    /// The URL that people set, with the password.
    pub(crate) fn url(&self) -> String {
        format!("http://user:{PASSWORD}@{}", self.address())
    }

    /// Host and port.
    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The first lines of what it was asked for.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.state.lock().asked.clone()
    }
}

impl Drop for ConnectProxy {
    fn drop(&mut self) {
        self.state.lock().ended = true;
        // The accepting thread gets the connection that it waits for.
        let woken = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
        drop(woken);
        if !matches!(self.accepting.take().map(JoinHandle::join), Some(Ok(()))) {
            eprintln!("a proxy did not end well");
        }
    }
}

fn accept(listener: &TcpListener, upstream: SocketAddr, state: &Mutex<State>) {
    thread::scope(|threads| {
        for client in listener.incoming() {
            if state.lock().ended {
                return;
            }
            let Ok(client) = client else { continue };
            // A client may close its connection at any time.
            threads.spawn(move || serve(&client, upstream, state).ok());
        }
    });
}

fn serve(mut client: &TcpStream, upstream: SocketAddr, state: &Mutex<State>) -> io::Result<()> {
    client.set_read_timeout(Some(PATIENCE))?;
    client.set_nodelay(true)?;
    let head = read_head(client)?;
    let first = head.lines().next().unwrap_or_default().to_owned();
    let is_connect = first.starts_with("CONNECT ");
    state.lock().asked.push(first);

    if !head.to_ascii_lowercase().contains(LOGIN) {
        return client.write_all(
            b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        );
    }
    if !is_connect {
        return client.write_all(
            b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        );
    }
    let server = TcpStream::connect_timeout(&upstream, PATIENCE)?;
    server.set_read_timeout(Some(PATIENCE))?;
    server.set_nodelay(true)?;
    client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")?;

    thread::scope(|threads| {
        threads.spawn(|| pass(client, &server));
        pass(&server, client);
    });
    Ok(())
}

/// One direction, until its end.
fn pass(mut from: &TcpStream, mut to: &TcpStream) {
    drop(io::copy(&mut from, &mut to));
    // The other side may be closed already.
    drop(to.shutdown(Shutdown::Both));
    drop(from.shutdown(Shutdown::Both));
}

/// Everything up to the empty line; a client of HTTPS sends nothing behind it before it has an answer.
fn read_head(mut client: &TcpStream) -> io::Result<String> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    while !bytes.windows(4).any(|four| four == b"\r\n\r\n") {
        let read = client.read(&mut buffer)?;
        if read == 0 {
            break;
        }
        bytes.extend_from_slice(&buffer[..read]);
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
