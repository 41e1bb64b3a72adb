//! The commands that programs send to one database of Redis.

use std::io::{BufRead, BufReader, Write as _};
use std::net::TcpStream;
use std::thread::{self, JoinHandle};

use redis::Script;

use super::redis::ask;

const SCRIPTS: &str = include_str!("../../../src/adapters/redis/scripts.rs");

const END: &str = "the monitor ends here";

/// Reads along from its start on, all the time: Redis disconnects who leaves too much unread, and all trials use the same Redis.
pub(crate) struct RedisMonitor {
    url: String,
    reading: JoinHandle<Vec<String>>,
}

impl RedisMonitor {
    /// Of a URL such as `redis://127.0.0.1:6379/3`.
    pub(crate) fn start(url: &str) -> Self {
        let address = url.trim_start_matches("redis://");
        let (address, database) = address.split_once('/').expect("a database");
        let mut stream = TcpStream::connect(address).expect("Redis answers");
        stream.write_all(b"MONITOR\r\n").expect("it is sent");
        let mut lines = BufReader::new(stream);
        let mut answer = String::new();
        lines.read_line(&mut answer).expect("an answer");
        assert_eq!(answer, "+OK\r\n");
        let database = format!(" [{database} ");
        Self {
            url: url.to_owned(),
            reading: thread::spawn(move || read(lines, &database)),
        }
    }

    /// The commands so far that name this text, in order: those of a script by the name that our code has for it, and not
    /// what the script does. Each is a round trip.
    pub(crate) fn end(self) -> Vec<Command> {
        ask(&self.url, &["ECHO", END]);
        let lines = self.reading.join().expect("all was read");
        let scripts = scripts();
        lines
            .iter()
            .map(|line| Command::of(line, &scripts))
            .collect()
    }
}

/// Everything up to the end that programs sent to this database.
fn read(lines: impl BufRead, database: &str) -> Vec<String> {
    let mut found = Vec::new();
    for line in lines.lines() {
        let line = line.expect("a line");
        if !line.contains(database) || line.contains(" lua] ") {
            continue;
        }
        if line.contains(END) {
            return found;
        }
        found.push(line);
    }
    panic!("Redis closed the connection");
}

pub(crate) struct Command {
    pub(crate) name: String,
    line: String,
}

impl Command {
    fn of(line: &str, scripts: &[(String, String)]) -> Self {
        let mut words = line.split('"').skip(1).step_by(2);
        let command = words.next().unwrap_or_default().to_uppercase();
        let hash = words.next().unwrap_or_default();
        let script = scripts.iter().find(|(known, _)| known == hash);
        Self {
            name: script.map_or(command, |(_, name)| name.clone()),
            line: line.to_owned(),
        }
    }

    pub(crate) fn names(&self, user_id: &str) -> bool {
        self.line.contains(user_id)
    }
}

/// Hash and name of each of our scripts.
fn scripts() -> Vec<(String, String)> {
    let constants = SCRIPTS.split("pub(super) const ").skip(1);
    constants
        .map(|constant| {
            let name = constant.split(':').next().expect("a name");
            let text = constant.split("r\"").nth(1).expect("a text");
            let text = text.split("\";").next().expect("its end");
            (
                Script::new(text).get_hash().to_owned(),
                name.to_lowercase().replace('_', " "),
            )
        })
        .collect()
}
