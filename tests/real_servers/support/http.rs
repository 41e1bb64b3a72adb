//! Just enough HTTP for the simulator's control interface.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;

/// Asks an origin such as `http://127.0.0.1:8080`; anything but a 2xx is a failure.
pub(crate) fn request(method: &str, origin: &str, path: &str, body: Option<&Value>) -> Value {
    let (status, answer) = ask(method, origin, path, body);
    assert!((200..300).contains(&status), "{method} {path}: {status}\n{}", String::from_utf8_lossy(&answer));
    if answer.is_empty() { Value::Null } else { serde_json::from_slice(&answer).expect("JSON") }
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
    let value = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '))?;
    Some(value.parse().expect("a number"))
}

/// What keeps a worker from taking users; nothing when it is ready.
pub(crate) fn not_ready_because(admin: &str) -> Option<String> {
    let (status, answer) = ask("GET", admin, "/readyz", None);
    (status != 200).then(|| String::from_utf8_lossy(&answer).into_owned())
}

/// Version 1.0, so the answer ends with the connection.
fn ask(method: &str, origin: &str, path: &str, body: Option<&Value>) -> (u16, Vec<u8>) {
    let host = origin.strip_prefix("http://").expect("plain HTTP");
    let body = body.map(Value::to_string).unwrap_or_default();
    let mut stream = TcpStream::connect(host).expect("somebody listens");
    stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a timeout");
    let length = body.len();
    write!(
        stream,
        "{method} {path} HTTP/1.0\r\nHost: {host}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    )
    .expect("the request goes out");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("an answer");
    let split = answer.windows(4).position(|four| four == b"\r\n\r\n").expect("a header");
    let (head, body) = (String::from_utf8_lossy(&answer[..split]), &answer[split + 4..]);
    let status = head.split(' ').nth(1).unwrap_or_default();
    (status.parse().expect("a status"), body.to_vec())
}
