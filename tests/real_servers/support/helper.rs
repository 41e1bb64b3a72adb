//! Scripts of `tests/python` that do something, or look at something, and answer with JSON.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use serde_json::{Value, json};

use super::process::interpreter;
use super::repository;

/// The process in whose forks they run. It ends with this one: its standard input is closed then.
struct Forks {
    _process: Child,
    directory: tempfile::TempDir,
}

impl Forks {
    fn shared() -> &'static Self {
        static FORKS: OnceLock<Forks> = OnceLock::new();
        FORKS.get_or_init(|| {
            let directory = tempfile::tempdir().expect("a temporary directory");
            let mut process = Command::new(interpreter())
                .arg(repository("tests/python/forks.py"))
                .arg(directory.path().join("socket"))
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .expect("forks.py starts");
            let mut line = String::new();
            let output = process.stdout.take().expect("a pipe");
            BufReader::new(output).read_line(&mut line).expect("a line");
            assert_eq!(
                line.trim(),
                "READY",
                "forks.py did not start; what it lacks stands above"
            );
            Self {
                _process: process,
                directory,
            }
        })
    }
}

/// A script that is going to run.
pub(crate) struct Helper {
    script: &'static str,
    arguments: Vec<String>,
    environment: BTreeMap<String, String>,
}

impl Helper {
    pub(crate) fn new(script: &'static str) -> Self {
        Self {
            script,
            arguments: Vec::new(),
            environment: BTreeMap::new(),
        }
    }

    pub(crate) fn arg(self, argument: impl AsRef<OsStr>) -> Self {
        self.args([argument])
    }

    pub(crate) fn args(mut self, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        let text = |argument: &OsStr| argument.to_str().expect("UTF-8").to_owned();
        self.arguments.extend(
            arguments
                .into_iter()
                .map(|argument| text(argument.as_ref())),
        );
        self
    }

    pub(crate) fn envs(mut self, settings: impl IntoIterator<Item = (String, String)>) -> Self {
        self.environment.extend(settings);
        self
    }

    /// Runs it to its end with `input`; the JSON that it prints.
    pub(crate) fn answer(self, input: &str) -> Value {
        let Self {
            script,
            arguments,
            environment,
        } = self;
        let request = json!({
            "script": script, "arguments": arguments, "environment": environment, "input": input,
        });
        let mut stream = UnixStream::connect(Forks::shared().directory.path().join("socket"))
            .expect("forks.py listens");
        stream
            .write_all(format!("{request}\n").as_bytes())
            .expect("forks.py reads");
        let mut line = String::new();
        BufReader::new(stream)
            .read_line(&mut line)
            .expect("an answer");
        let answer: Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("{script} died"));
        let text = |member: &str| answer[member].as_str().expect("a text").to_owned();
        assert_eq!(
            answer["status"],
            0,
            "{script} {arguments:?} failed: {}",
            text("errors")
        );
        serde_json::from_str(&text("output")).expect("the helper prints JSON")
    }
}
