//! Broker, Redis and S3, started once for the run by `deploy/local/servers.sh`.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::OnceLock;

use super::repository;

static RUNNING: OnceLock<Settings> = OnceLock::new();

/// Where the servers are, as `servers.sh env` says it.
struct Settings {
    directory: PathBuf,
    values: BTreeMap<String, String>,
}

/// The servers of this run. They end when this is dropped, and when this process dies in whatever
/// way: their script holds only as long as its standard input is open.
pub(crate) struct Servers {
    script: Child,
    lifeline: Option<ChildStdin>,
    _directory: tempfile::TempDir,
}

fn script(command: &str) -> Command {
    let mut bash = Command::new(repository("deploy/local/servers.sh"));
    bash.arg(command);
    bash
}

impl Servers {
    /// Starts them, with a virtual host for each of the places `1..=places`.
    pub(crate) fn start(places: usize) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let state = directory.path().join("servers");
        let mut child = script("run")
            .arg(&state)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("deploy/local/servers.sh runs");
        let lifeline = child.stdin.take();
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("a pipe"))
            .read_line(&mut line)
            .expect("a line from servers.sh");
        assert_eq!(
            line.trim(),
            "READY",
            "the servers did not start; what they lack stands above, and `deploy/local/install.sh` brings it"
        );
        let servers = Self { script: child, lifeline, _directory: directory };

        let printed = output(script("env").arg(&state));
        let values = printed.lines().filter_map(|line| {
            let (name, value) = line.strip_prefix("export ")?.split_once('=')?;
            Some((name.to_owned(), value.trim_matches('\'').to_owned()))
        });
        let settings = Settings { directory: state.clone(), values: values.collect() };
        assert!(RUNNING.set(settings).is_ok(), "the servers start once");
        let names = (1..=places).map(vhost);
        output(script("vhosts").arg(&state).args(names));
        servers
    }

    /// Stops them and waits until they are gone.
    pub(crate) fn stop(mut self) {
        drop(self.lifeline.take());
        self.script.wait().expect("servers.sh ends");
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        drop(self.lifeline.take());
        if let Err(error) = self.script.wait() {
            eprintln!("servers.sh did not end: {error}");
        }
    }
}

/// A setting that reaches the servers, such as `AWS_REGION`.
pub(crate) fn setting(name: &str) -> String {
    let running = RUNNING.get().expect("the servers run");
    running.values.get(name).unwrap_or_else(|| panic!("servers.sh env prints {name}")).clone()
}

/// The `AWS_…` settings.
pub(crate) fn aws_settings() -> Vec<(String, String)> {
    let running = RUNNING.get().expect("the servers run");
    let aws = running.values.iter().filter(|(name, _)| name.starts_with("AWS_"));
    aws.map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// The virtual host of a place.
pub(crate) fn vhost(place: usize) -> String {
    format!("place-{place}")
}

/// `rabbitmqctl` of the private node; its standard output.
pub(crate) fn rabbitmqctl(arguments: &[&str]) -> String {
    let running = RUNNING.get().expect("the servers run");
    output(script("ctl").arg(&running.directory).args(arguments))
}

fn output(command: &mut Command) -> String {
    let answer = command.output().expect("the command runs");
    let (told, complaint) =
        (String::from_utf8_lossy(&answer.stdout), String::from_utf8_lossy(&answer.stderr));
    assert!(answer.status.success(), "{command:?} ended with {}: {complaint}", answer.status);
    told.into_owned()
}
