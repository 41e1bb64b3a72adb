//! Sets of a broker, a Redis and an S3, each started by `deploy/local/servers.sh`.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Seek, Write};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;

use super::repository;

/// A Redis database that is no place's own.
pub(crate) const SPARE_DATABASE: usize = 255;

static SHARED: OnceLock<Arc<Servers>> = OnceLock::new();

/// One set of servers. It ends when this is dropped, and when this process dies in whatever way:
/// its script ends with its standard input.
pub(crate) struct Servers {
    state: PathBuf,
    settings: BTreeMap<String, String>,
    running: Mutex<Option<(Child, ChildStdin)>>,
    _directory: tempfile::TempDir,
}

/// The set for all trials that break none of it.
pub(crate) fn shared() -> Arc<Servers> {
    Arc::clone(SHARED.get().expect("the shared servers run"))
}

fn script(command: &str) -> Command {
    let mut bash = Command::new(repository("deploy/local/servers.sh"));
    bash.arg(command).stdin(Stdio::null());
    bash
}

impl Servers {
    /// Starts the shared set, with a virtual host for each of the places `1..=places`.
    pub(crate) fn share(places: usize) -> Arc<Self> {
        assert!(
            SHARED.set(Arc::new(Self::start(1..=places))).is_ok(),
            "the shared servers start once"
        );
        shared()
    }

    /// Starts a set, with a virtual host for each of the places.
    pub(crate) fn start(places: RangeInclusive<usize>) -> Self {
        Self::start_others(places, &[])
    }

    /// The same with other servers, which these variables of `servers.sh` name.
    pub(crate) fn start_others(places: RangeInclusive<usize>, others: &[(&str, &OsStr)]) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let state = directory.path().join("servers");
        let mut child = script("run")
            .arg(&state)
            .envs(others.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("deploy/local/servers.sh runs");
        let lifeline = child.stdin.take().expect("a pipe");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("a pipe"))
            .read_line(&mut line)
            .expect("a line from servers.sh");
        assert_eq!(
            line.trim(),
            "READY",
            "the servers did not start; what they lack is above, and `deploy/local/install.sh` brings it"
        );
        let printed = output(script("env").arg(&state));
        let settings = printed.lines().filter_map(|line| {
            let (name, value) = line.strip_prefix("export ")?.split_once('=')?;
            Some((name.to_owned(), value.trim_matches('\'').to_owned()))
        });
        let servers = Self {
            settings: settings.collect(),
            state,
            running: Mutex::new(Some((child, lifeline))),
            _directory: directory,
        };

        servers.make_vhosts(places);
        servers
    }

    /// Stops them and waits until they are gone.
    pub(crate) fn stop(&self) {
        let running = self.running.lock().take();
        let Some((mut script, lifeline)) = running else {
            return;
        };
        drop(lifeline);
        if let Err(error) = script.wait() {
            eprintln!("servers.sh did not end: {error}");
        }
    }

    /// A setting that reaches the servers, such as `AWS_REGION`.
    pub(crate) fn setting(&self, name: &str) -> String {
        self.settings
            .get(name)
            .unwrap_or_else(|| panic!("servers.sh env prints {name}"))
            .clone()
    }

    /// A port of theirs, such as `filer_port`.
    pub(crate) fn port(&self, name: &str) -> u16 {
        let ports = std::fs::read_to_string(self.state.join("ports")).expect("the ports");
        let mut ports = ports.lines().filter_map(|line| line.split_once('='));
        let port = ports.find_map(|(known, port)| (known == name).then_some(port));
        let port = port.unwrap_or_else(|| panic!("servers.sh chooses {name}"));
        port.parse().expect("a number")
    }

    /// A file of theirs, such as `s3/identities.json`.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.state.join(name)
    }

    /// The `AWS_…` settings.
    pub(crate) fn aws_settings(&self) -> BTreeMap<String, String> {
        let mut settings = self.settings.clone();
        settings.retain(|name, _| name.starts_with("AWS_"));
        settings
    }

    /// `rabbitmqctl` of the private node; its standard output.
    pub(crate) fn rabbitmqctl(&self, arguments: &[&str]) -> String {
        output(script("ctl").arg(&self.state).args(arguments))
    }

    /// Runs Erlang in the private node, which has to give `ok`; what it printed.
    pub(crate) fn eval(&self, code: &str) -> String {
        let mut file = tempfile::tempfile().expect("a temporary file");
        writeln!(file, "{code}")
            .and_then(|()| file.rewind())
            .expect("it is written");
        output(script("eval").arg(&self.state).stdin(file))
    }

    /// Kills `rabbitmq`, `redis` or `s3`, as if its machine had lost power; returns when it is gone.
    pub(crate) fn kill_one(&self, name: &str) {
        output(script("kill-one").arg(&self.state).arg(name));
    }

    /// Kills one, and removes all that it kept.
    pub(crate) fn lose_one(&self, name: &str) {
        output(script("lose-one").arg(&self.state).arg(name));
    }

    /// Virtual hosts that are not there any more.
    pub(crate) fn make_vhosts(&self, places: RangeInclusive<usize>) {
        output(script("vhosts").arg(&self.state).args(places.map(vhost)));
    }

    /// Sends `rabbitmq`, `redis` or `s3` a signal, such as `STOP`.
    pub(crate) fn signal_one(&self, name: &str, signal: &str) {
        output(script("kill-one").arg(&self.state).args([name, signal]));
    }

    /// Starts one again, with what it kept and on the port that it had; returns when it answers.
    pub(crate) fn restart_one(&self, name: &str) {
        output(script("restart-one").arg(&self.state).arg(name));
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The virtual host of a place.
pub(crate) fn vhost(place: usize) -> String {
    format!("place-{place}")
}

fn output(command: &mut Command) -> String {
    let answer = command.output().expect("the command runs");
    assert!(
        answer.status.success(),
        "{command:?} ended with {}: {}",
        answer.status,
        String::from_utf8_lossy(&answer.stderr)
    );
    String::from_utf8_lossy(&answer.stdout).into_owned()
}
