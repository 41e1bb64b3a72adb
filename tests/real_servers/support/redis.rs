//! A Redis that forgets.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::time::Duration;

/// Empties the database of a URL such as `redis://127.0.0.1:6379/3`; the other databases stay.
pub(crate) fn forget(url: &str) {
    let (server, database) = url.trim_start_matches("redis://").split_once('/').expect("a database");
    let redis = TcpStream::connect(server).expect("Redis listens");
    redis.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout");
    let mut answers = BufReader::new(redis.try_clone().expect("a second handle"));
    for command in [&format!("SELECT {database}"), "FLUSHDB"] {
        (&redis).write_all(format!("{command}\r\n").as_bytes()).expect("the command goes out");
        let mut answer = String::new();
        answers.read_line(&mut answer).expect("an answer");
        assert_eq!(answer, "+OK\r\n", "{command}");
    }
}
