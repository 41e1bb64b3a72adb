//! Just enough HTTP for the simulator's control interface.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;

/// Asks an origin such as `http://127.0.0.1:8080`; anything but a 2xx is a failure.
pub(crate) fn request(method: &str, origin: &str, path: &str, body: Option<&Value>) -> Value {
    let (status, answer) = ask(method, origin, path, body);
    assert!(
        (200..300).contains(&status),
        "{method} {path}: {status}\n{}",
        String::from_utf8_lossy(&answer)
    );
    if answer.is_empty() {
        Value::Null
    } else {
        serde_json::from_slice(&answer).expect("JSON")
    }
}

/// The status that a GET is answered with.
pub(crate) fn status(origin: &str, path: &str) -> u16 {
    ask("GET", origin, path, None).0
}

/// The JSON that a GET is answered with, whatever the status.
pub(crate) fn answer(origin: &str, path: &str) -> (u16, Value) {
    let (status, answer) = ask("GET", origin, path, None);
    (status, serde_json::from_slice(&answer).expect("JSON"))
}

/// What a GET is answered with, which has to be a 200.
pub(crate) fn text(origin: &str, path: &str) -> String {
    let (status, text) = ask("GET", origin, path, None);
    assert_eq!(status, 200, "{path}");
    String::from_utf8(text).expect("text")
}

/// One sample of a worker's metrics, such as `name{label="x"}`; nothing when there is none.
pub(crate) fn sample(origin: &str, series: &str) -> Option<f64> {
    let text = text(origin, "/metrics");
    let value = text
        .lines()
        .find_map(|line| line.strip_prefix(series)?.strip_prefix(' '))?;
    Some(value.parse().expect("a number"))
}

/// What keeps a worker from taking users; nothing when it is ready.
pub(crate) fn not_ready_because(admin: &str) -> Option<String> {
    let (status, answer) = ask("GET", admin, "/readyz", None);
    (status != 200).then(|| String::from_utf8_lossy(&answer).into_owned())
}

fn ask(method: &str, origin: &str, path: &str, body: Option<&Value>) -> (u16, Vec<u8>) {
    let body = body.map(Value::to_string).unwrap_or_default();
    let answer = exchange(
        method,
        origin,
        path,
        &[("Content-Type", "application/json")],
        body.as_bytes(),
    );
    (answer.status, answer.body)
}

/// Sends a request with a token or a key, and with a JSON body if there is one.
pub(crate) fn authorized(
    token: &str,
    method: &str,
    origin: &str,
    path: &str,
    body: Option<&Value>,
) -> Answer {
    let bearer = format!("Bearer {token}");
    let mut headers = vec![("Authorization", bearer.as_str())];
    headers.extend(body.map(|_| ("Content-Type", "application/json")));
    let body = body.map(Value::to_string).unwrap_or_default();
    exchange(method, origin, path, &headers, body.as_bytes())
}

/// What came back.
pub(crate) struct Answer {
    pub(crate) status: u16,
    head: String,
    body: Vec<u8>,
}

impl Answer {
    /// A header, by its name in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<String> {
        let headers = self.head.lines().filter_map(|line| line.split_once(": "));
        let found = headers
            .into_iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.to_owned())
    }

    /// The body.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Panics unless it has this status.
    pub(crate) fn expect_status(&self, status: u16) {
        assert_eq!(self.status, status, "{}\n{}", self.head, self.text());
    }

    /// The same; the body, which has to be JSON.
    pub(crate) fn expect(&self, status: u16) -> Value {
        self.expect_status(status);
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }
}

/// Asks with these headers. Version 1.0, so the answer ends with the connection.
pub(crate) fn exchange(
    method: &str,
    origin: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Answer {
    let host = origin.strip_prefix("http://").expect("plain HTTP");
    let mut stream = TcpStream::connect(host).expect("a server listens");
    stream
        .set_read_timeout(Some(Duration::from_mins(1)))
        .expect("a timeout");
    let named = headers.iter().any(|(name, _)| *name == "Host");
    let host = (!named).then_some(("Host", host));
    let length = body.len().to_string();
    let headers = headers
        .iter()
        .copied()
        .chain(host)
        .chain([("Content-Length", length.as_str())]);
    let headers: Vec<String> = headers
        .map(|(name, value)| format!("{name}: {value}\r\n"))
        .collect();
    let head = format!("{method} {path} HTTP/1.0\r\n{}\r\n", headers.concat());
    stream
        .write_all(head.as_bytes())
        .expect("the request goes out");
    // A server that refuses a body need not read it.
    let written = stream.write_all(body);
    let mut answer = Vec::new();
    let read = stream.read_to_end(&mut answer);
    let split = answer.windows(4).position(|four| four == b"\r\n\r\n");
    let split = split.unwrap_or_else(|| panic!("no answer: {written:?}, {read:?}"));
    let head = String::from_utf8_lossy(&answer[..split]).into_owned();
    let status = head
        .split(' ')
        .nth(1)
        .unwrap_or_default()
        .parse()
        .expect("a status");
    Answer {
        status,
        head,
        body: answer[split + 4..].to_vec(),
    }
}
