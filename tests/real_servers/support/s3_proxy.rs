//! An S3 that refuses on command: a proxy between workers and the real one, which gets every request
//! that no rule answers, with the `Host` that was signed.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};

use super::world::World;

/// Longer than any request of a test takes, so that no thread outlives its test for long.
const PATIENCE: Duration = Duration::from_secs(30);

/// What is refused, and how.
struct Rule {
    /// Such as `PUT`, or `*`.
    method: &'static str,
    /// In the path or the query.
    text: String,
    status: u16,
    code: &'static str,
    times: Option<usize>,
}

/// How an object reads that was stored undamaged.
#[derive(Clone, Copy)]
pub(crate) enum Damage {
    /// Zeros only.
    Zeros,
    /// One bit of its middle byte is another.
    FlippedBit,
    /// None; as with the others, no checksum is returned.
    None,
}

#[derive(Default)]
struct State {
    rules: Vec<Rule>,
    /// By what the path of the object holds.
    damages: Vec<(String, Damage)>,
    refused: usize,
    /// Method and target of each.
    requests: Vec<String>,
    ended: bool,
}

/// Ends with its owner: no thread of it is left after the drop.
pub(crate) struct S3Proxy {
    port: u16,
    state: Arc<Mutex<State>>,
    accepting: Option<JoinHandle<()>>,
}

impl S3Proxy {
    /// In front of the S3 of a world. Whatever the world starts from now on goes through it.
    pub(crate) fn before(world: &mut World) -> Self {
        const ENDPOINT: &str = "AWS_ENDPOINT_URL_S3";
        let upstream = world
            .setting(ENDPOINT)
            .trim_start_matches("http://")
            .trim_end_matches('/');
        let upstream: SocketAddr = upstream.parse().expect("an address");
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let state = Arc::<Mutex<State>>::default();
        let accepting = {
            let state = Arc::clone(&state);
            thread::spawn(move || accept(&listener, upstream, &state))
        };
        world.set(ENDPOINT, &format!("http://127.0.0.1:{port}"));
        Self {
            port,
            state,
            accepting: Some(accepting),
        }
    }

    /// From now on.
    pub(crate) fn refuse(&self, method: &'static str, text: &str, status: u16, code: &'static str) {
        self.add(Rule {
            method,
            text: text.to_owned(),
            status,
            code,
            times: None,
        });
    }

    /// This many times, from now on.
    pub(crate) fn refuse_times(
        &self,
        times: usize,
        method: &'static str,
        text: &str,
        status: u16,
        code: &'static str,
    ) {
        self.add(Rule {
            method,
            text: text.to_owned(),
            status,
            code,
            times: Some(times),
        });
    }

    fn add(&self, rule: Rule) {
        lock(&self.state).rules.push(rule);
    }

    /// From now on an object of this path is returned with this damage, and without a checksum.
    pub(crate) fn damage(&self, text: &str, damage: Damage) {
        lock(&self.state).damages.push((text.to_owned(), damage));
    }

    /// Refuses nothing any more.
    pub(crate) fn stop_refusing(&self) {
        lock(&self.state).rules.clear();
    }

    /// How many requests were refused so far.
    pub(crate) fn refused(&self) -> usize {
        lock(&self.state).refused
    }

    /// Method and target of each request so far, such as `GET /bucket?list-type=2&prefix=place-3%2F`.
    pub(crate) fn requests(&self) -> Vec<String> {
        lock(&self.state).requests.clone()
    }

    /// What would have been refused a number of times, and came less often.
    pub(crate) fn unspent(&self) -> Vec<String> {
        let state = lock(&self.state);
        let unspent = state
            .rules
            .iter()
            .filter(|rule| rule.times.is_some_and(|times| times > 0));
        unspent
            .map(|rule| format!("{} {} {:?}", rule.method, rule.text, rule.times))
            .collect()
    }
}

impl Drop for S3Proxy {
    fn drop(&mut self) {
        lock(&self.state).ended = true;
        // The accepting thread gets the connection that it waits for.
        let woken = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
        drop(woken);
        if !matches!(self.accepting.take().map(JoinHandle::join), Some(Ok(()))) {
            eprintln!("a proxy did not end well");
        }
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock()
}

fn accept(listener: &TcpListener, upstream: SocketAddr, state: &Mutex<State>) {
    thread::scope(|threads| {
        for client in listener.incoming() {
            if lock(state).ended {
                return;
            }
            let Ok(client) = client else { continue };
            // A client may close its connection at any time.
            threads.spawn(move || serve(&client, upstream, state).ok());
        }
    });
}

/// One request, after which the connection ends.
fn serve(mut client: &TcpStream, upstream: SocketAddr, state: &Mutex<State>) -> io::Result<()> {
    client.set_read_timeout(Some(PATIENCE))?;
    client.set_nodelay(true)?;
    let Some((head, rest)) = read_head(client)? else {
        return Ok(());
    };
    if let Some((line, _version)) = head.split_once(" HTTP/") {
        lock(state).requests.push(line.to_owned());
    }
    if let Some((status, code)) = refusal(&head, state) {
        discard_body(client, &head, rest.len());
        let is_head = head.starts_with("HEAD ");
        let body = if is_head {
            String::new()
        } else {
            format!("<Error><Code>{code}</Code><Message>as asked for</Message></Error>")
        };
        let length = body.len();
        write!(
            client,
            "HTTP/1.1 {status} {code}\r\nContent-Type: application/xml\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
        )?;
        return client.shutdown(Shutdown::Both);
    }

    let mut server = TcpStream::connect_timeout(&upstream, PATIENCE)?;
    server.set_read_timeout(Some(PATIENCE))?;
    server.set_nodelay(true)?;

    // The one header that is for us, and not signed.
    server.write_all(
        head.replacen("\r\n", "\r\nConnection: close\r\n", 1)
            .as_bytes(),
    )?;
    server.write_all(&rest)?;
    thread::scope(|threads| {
        let mut from = client;
        let mut to = &server;
        // It ends when the client sends nothing more, or when the connection closes below.
        threads.spawn(move || io::copy(&mut from, &mut to).ok());
        let answered = match damage(&head, state) {
            None => io::copy(&mut &server, &mut client).map(drop),
            Some(damage) => return_damaged(&server, client, damage),
        };
        client.shutdown(Shutdown::Both).and(answered)
    })
}

/// Everything up to the empty line, with it, and what came behind it; nothing when nobody asks.
fn read_head(mut client: &TcpStream) -> io::Result<Option<(String, Vec<u8>)>> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 16 * 1024];
    loop {
        let read = client.read(&mut buffer)?;
        if read == 0 {
            return Ok(None);
        }
        bytes.extend_from_slice(&buffer[..read]);
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            let rest = bytes.split_off(end + 4);
            return Ok(Some((String::from_utf8_lossy(&bytes).into_owned(), rest)));
        }
    }
}

/// What is done to the answer of a read.
fn damage(head: &str, state: &Mutex<State>) -> Option<Damage> {
    let (method, path) = head.split_once(' ')?;
    let path = path.split([' ', '?']).next()?;
    let state = lock(state);
    let meant = |(text, _): &&(String, Damage)| path.contains(text.as_str());
    state
        .damages
        .iter()
        .find(meant)
        .filter(|_| ["GET", "HEAD"].contains(&method))
        .map(|(_, damage)| *damage)
}

fn return_damaged(
    mut server: &TcpStream,
    mut client: &TcpStream,
    damage: Damage,
) -> io::Result<()> {
    let mut answer = Vec::new();
    server.read_to_end(&mut answer)?;
    let end = answer
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .map_or(answer.len(), |at| at + 4);
    let mut body = answer.split_off(end);
    let middle = body.len() / 2;
    match damage {
        Damage::Zeros => body.fill(0),
        Damage::FlippedBit => body
            .iter_mut()
            .skip(middle)
            .take(1)
            .for_each(|byte| *byte ^= 1),
        Damage::None => {}
    }

    let head = String::from_utf8_lossy(&answer).into_owned();
    for line in head.split_inclusive("\r\n") {
        if !line.to_ascii_lowercase().starts_with("x-amz-checksum-") {
            client.write_all(line.as_bytes())?;
        }
    }
    client.write_all(&body)
}

/// What the first rule that is meant says.
fn refusal(head: &str, state: &Mutex<State>) -> Option<(u16, &'static str)> {
    let mut words = head.split(' ');
    let method = words.next()?;
    let path = words.next()?;
    let mut state = lock(state);
    let meant = |rule: &&mut Rule| {
        (rule.method == "*" || rule.method == method)
            && path.contains(&rule.text)
            && rule.times != Some(0)
    };
    let rule = state.rules.iter_mut().find(meant)?;
    rule.times = rule.times.map(|times| times - 1);
    let answer = (rule.status, rule.code);
    state.refused += 1;
    Some(answer)
}

/// A connection that closes before all was read loses the answer too.
fn discard_body(mut client: &TcpStream, head: &str, read: usize) {
    let lines = head.lines().filter_map(|line| line.split_once(':'));
    let length = lines
        .filter(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .find_map(|(_, value)| value.trim().parse::<usize>().ok());
    let left = length.unwrap_or(0).saturating_sub(read) as u64;
    drop(io::copy(
        &mut Read::by_ref(&mut client).take(left),
        &mut io::sink(),
    ));
}
