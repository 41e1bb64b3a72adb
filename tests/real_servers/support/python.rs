//! Scripts of `tests/python`: what another implementation has to do or to judge.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::Value;

use super::process::command;
use super::repository;

/// The Python of the repository's environment.
fn interpreter() -> PathBuf {
    let interpreter = repository(".venv/bin/python");
    assert!(
        interpreter.exists(),
        "no .venv; run deploy/local/install.sh"
    );
    interpreter
}

/// A script, to be started.
pub(crate) fn script(name: &str) -> Command {
    let mut command = command(&interpreter());
    command
        .args(["-W", "ignore"])
        .arg(repository("tests/python").join(name));
    command
}

/// Runs a script to its end with `input`; the JSON that it prints.
pub(crate) fn answer(
    name: &str,
    arguments: &[impl AsRef<OsStr>],
    environment: &BTreeMap<String, String>,
    input: &str,
) -> Value {
    let mut command = script(name);
    command
        .args(arguments)
        .envs(environment)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut process = command.spawn().expect("the script starts");
    let mut pipe = process.stdin.take().expect("a pipe");
    // A script that ends early says why on standard error, which is shown below.
    drop(pipe.write_all(input.as_bytes()));
    drop(pipe);

    let ended = process.wait_with_output().expect("the script ends");
    assert!(
        ended.status.success(),
        "{name} ended with {}: {}",
        ended.status,
        String::from_utf8_lossy(&ended.stderr)
    );
    serde_json::from_slice(&ended.stdout).expect("the script prints JSON")
}
