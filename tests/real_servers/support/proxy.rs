//! A network that fails on command: a TCP proxy on loopback between one client and one server.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use parking_lot::{Condvar, Mutex, MutexGuard};

/// Passes bytes on. Ends with its owner: no thread of it is left after the drop.
pub(crate) struct Proxy {
    pub(crate) port: u16,
    network: Arc<Network>,
    accepting: Option<JoinHandle<()>>,
}

/// Something done once to the first request whose head holds a text.
#[derive(Clone)]
pub(crate) struct Trick {
    text: String,
    does: Does,
}

#[derive(Clone, Copy, PartialEq)]
enum Does {
    LoseAnswer,
    FlipBit,
    TakeConditionAsMet,
}

impl Trick {
    /// The request arrives, and its answer is cut off.
    pub(crate) fn lose_answer(text: &str) -> Self {
        Self {
            text: text.to_owned(),
            does: Does::LoseAnswer,
        }
    }

    /// Of a condition that is not met the answer says that it was.
    pub(crate) fn take_condition_as_met(text: &str) -> Self {
        Self {
            text: text.to_owned(),
            does: Does::TakeConditionAsMet,
        }
    }

    /// A bit of the body arrives flipped.
    pub(crate) fn flip_bit(text: &str) -> Self {
        Self {
            text: text.to_owned(),
            does: Does::FlipBit,
        }
    }
}

struct Network {
    upstream: SocketAddr,
    state: Mutex<State>,
    changed: Condvar,
    /// Bytes of clients that arrived.
    sent: AtomicUsize,
}

#[derive(Default)]
struct State {
    stalled: bool,
    away: bool,
    ended: bool,
    /// How often all was cut; a connection belongs to the time it was made in.
    cuts: u64,
    connections: Vec<Weak<Connection>>,
    tricks: Vec<Trick>,
}

struct Connection {
    client: TcpStream,
    server: TcpStream,
    cuts: u64,
    /// What happens to the request that is on its way.
    trick: Mutex<Option<Does>>,
}

impl Proxy {
    /// Between a port of its own and `upstream`, which need not be there yet, or all the time.
    pub(crate) fn start(upstream: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let network = Arc::new(Network {
            upstream,
            state: Mutex::default(),
            changed: Condvar::new(),
            sent: AtomicUsize::new(0),
        });
        let accepting = {
            let network = Arc::clone(&network);
            thread::spawn(move || network.accept(&listener))
        };
        Self {
            port,
            network,
            accepting: Some(accepting),
        }
    }

    /// How many bytes clients have sent so far.
    pub(crate) fn sent(&self) -> usize {
        self.network.sent.load(Ordering::Relaxed)
    }

    /// Closes all its connections at once, wherever they are. New ones work.
    pub(crate) fn cut(&self) {
        let mut state = self.network.state();
        state.cuts += 1;
        for connection in state
            .connections
            .drain(..)
            .filter_map(|connection| connection.upgrade())
        {
            connection.close();
        }
        self.network.changed.notify_all();
    }

    /// Closes all its connections and takes no others, as if nobody listened; or takes them again.
    pub(crate) fn be_away(&self, away: bool) {
        self.network.state().away = away;
        self.cut();
    }

    /// Plays a trick on the next request that it is meant for.
    pub(crate) fn play(&self, trick: &Trick) {
        self.network.state().tricks.push(trick.clone());
    }

    /// What the requests would have held that never came.
    pub(crate) fn unplayed(&self) -> Vec<String> {
        self.network
            .state()
            .tricks
            .iter()
            .map(|trick| trick.text.clone())
            .collect()
    }

    /// Holds all bytes back, of new connections too, or lets them go again.
    pub(crate) fn stall(&self, stalled: bool) {
        self.network.state().stalled = stalled;
        self.network.changed.notify_all();
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.network.state().ended = true;
        self.cut();
        // The accepting thread gets the connection that it waits for.
        let woken = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
        let ended = self.accepting.take().map(JoinHandle::join);
        if woken.is_err() || !matches!(ended, Some(Ok(()))) {
            eprintln!("a proxy did not end well: {woken:?}, {ended:?}");
        }
    }
}

impl Network {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// The scope ends after the last of its threads, and a cut ends them all.
    fn accept(&self, listener: &TcpListener) {
        thread::scope(|threads| {
            for client in listener.incoming() {
                if self.state().ended {
                    return;
                }
                // No server, no connection: the client's is closed at once.
                let Ok(client) = client else { continue };
                let Ok(server) = TcpStream::connect_timeout(&self.upstream, Duration::from_secs(1))
                else {
                    continue;
                };
                let connection = {
                    let mut state = self.state();
                    if state.ended {
                        return;
                    }
                    if state.away {
                        continue;
                    }
                    let connection = Arc::new(Connection {
                        client,
                        server,
                        cuts: state.cuts,
                        trick: Mutex::default(),
                    });
                    state.connections.retain(|known| known.strong_count() > 0);
                    state.connections.push(Arc::downgrade(&connection));
                    connection
                };
                let back = Arc::clone(&connection);
                threads.spawn(move || {
                    let spoil = |bytes: &mut [u8]| self.spoil_request(&connection, bytes);
                    self.pump(&connection, &connection.client, &connection.server, spoil);
                });
                threads.spawn(move || {
                    let spoil = |bytes: &mut [u8]| {
                        if back.takes_trick(Does::TakeConditionAsMet) {
                            pretend(bytes);
                        }
                        back.takes_trick(Does::LoseAnswer)
                    };
                    self.pump(&back, &back.server, &back.client, spoil);
                });
            }
        });
    }

    /// Bytes of a client: a head may wake a trick, a body may suffer one. Nothing is cut off here.
    fn spoil_request(&self, connection: &Connection, bytes: &mut [u8]) -> bool {
        self.sent.fetch_add(bytes.len(), Ordering::Relaxed);
        let head = String::from_utf8_lossy(bytes.get(..bytes.len().min(2048)).unwrap_or_default())
            .into_owned();
        let mut state = self.state();
        if let Some(place) = state
            .tricks
            .iter()
            .position(|trick| head.contains(&trick.text))
        {
            *connection.trick() = Some(state.tricks.remove(place).does);
        } else if connection.takes_trick(Does::FlipBit)
            && let Some(middle) = bytes.get_mut(bytes.len() / 2)
        {
            *middle ^= 1;
        }
        false
    }

    /// One direction, until its end, an error or a cut.
    fn pump(
        &self,
        connection: &Connection,
        mut from: &TcpStream,
        mut to: &TcpStream,
        mut spoil: impl FnMut(&mut [u8]) -> bool,
    ) {
        let mut buffer = [0; 16 * 1024];
        loop {
            let read = from.read(&mut buffer).unwrap_or(0);
            let cut = self.wait_while_stalled(connection) || spoil(&mut buffer[..read]);
            if read == 0 || cut || to.write_all(&buffer[..read]).is_err() {
                return connection.close();
            }
        }
    }

    /// Whether the connection was cut, before the stall or in it.
    fn wait_while_stalled(&self, connection: &Connection) -> bool {
        let cut = |state: &State| state.ended || state.cuts != connection.cuts;
        let waits = |state: &mut State| state.stalled && !cut(state);
        let mut state = self.state();
        self.changed.wait_while(&mut state, waits);
        cut(&state)
    }
}

/// In place, so that nothing else moves. The body would say what is true, and is blanked.
fn pretend(answer: &mut [u8]) {
    let refused = b"412 Precondition Failed";
    let met = b"200 OK                 ";
    if let Some(at) = answer
        .windows(refused.len())
        .position(|window| window == refused)
    {
        answer[at..at + met.len()].copy_from_slice(met);
        let body = answer
            .windows(4)
            .position(|window| window == b"\r\n\r\n")
            .map_or(answer.len(), |at| at + 4);
        answer[body..].fill(b' ');
    }
}

impl Connection {
    fn trick(&self) -> MutexGuard<'_, Option<Does>> {
        self.trick.lock()
    }

    /// Whether this trick is due now; it is played once.
    fn takes_trick(&self, wanted: Does) -> bool {
        let mut trick = self.trick();
        let due = *trick == Some(wanted);
        if due {
            *trick = None;
        }
        due
    }

    fn close(&self) {
        for side in [&self.client, &self.server] {
            // It may be closed already.
            drop(side.shutdown(Shutdown::Both));
        }
    }
}
