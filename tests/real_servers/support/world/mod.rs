//! What one trial has to itself: a simulator, a virtual host, a Redis database, a prefix, a directory.

mod queues;
mod tenant;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use super::objects::Objects;
use super::population::{PAGE_SIZE, User};
use super::process::{Process, command, last, tail};
use super::profile::Profile;
use super::servers::{self, Servers};
use super::{broker, list};

/// How long all users of a trial may take on a slow machine.
pub(crate) const PATIENCE: Duration = Duration::from_mins(4);
/// The queue in which an upstream system collects result events.
pub(crate) const RESULTS: &str = "upstream.results";
pub(crate) const DEAD: &str = "offboarding.dead";
pub(crate) const CLIENT_SECRET: &str = "secret-of-the-tests";
/// The command of the audit log, and the member of its answer that lists the entries.
pub(crate) const AUDIT_LOG: [&str; 1] = ["audit-log"];
pub(crate) const AUDIT_LOG_ENTRIES: &str = "acts";
const CLIENT_ID: &str = "tests";
const TOKEN_URI: &str = "OFFBOARDER_CXONE_TOKEN_URI";

/// What a command left behind when it ended.
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) output: String,
    pub(crate) errors: String,
}

impl Ended {
    /// The JSON document on standard output.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.output)
            .unwrap_or_else(|error| panic!("{error}: {}", self.output))
    }

    /// Panics unless it ended with this status.
    #[track_caller]
    pub(crate) fn expect(self, code: i32) -> Self {
        assert_eq!(
            self.code,
            Some(code),
            "exit status; output: {}\nerrors: {}",
            tail(&self.output),
            tail(&self.errors)
        );
        self
    }
}

/// What a trial has to itself.
pub(crate) struct World {
    pub(crate) directory: TempDir,
    pub(crate) simulator: String,
    pub(crate) users: Vec<User>,
    pub(crate) profile: Profile,
    place: usize,
    servers: Arc<Servers>,
    settings: Vec<(String, String)>,
    _simulator: Process,
}

impl World {
    /// A world with these users at the simulator, and no topology declared yet.
    pub(crate) fn new(place: usize, users: Vec<User>) -> Self {
        Self::on(servers::shared(), place, users, &[])
    }

    /// The same on other servers than those that all share, and with further flags of the simulator.
    pub(crate) fn on(
        servers: Arc<Servers>,
        place: usize,
        users: Vec<User>,
        flags: &[&str],
    ) -> Self {
        Self::of(Profile::Tutorial, servers, place, users, flags)
    }

    /// The same at the API of another profile.
    pub(crate) fn of(
        profile: Profile,
        servers: Arc<Servers>,
        place: usize,
        users: Vec<User>,
        flags: &[&str],
    ) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let mut process =
            start_simulator(directory.path(), &users, &[profile.flags(), flags].concat());
        let simulator = process.url();

        let mut settings = settings_of_services(&servers, place, &simulator);
        let of_profile = profile.settings().into_iter();
        settings.extend(of_profile.map(|(name, value)| (name.to_owned(), value.to_owned())));
        settings.push(("HOME".to_owned(), directory.path().display().to_string()));
        settings.extend(servers.aws_settings());
        let mut world = Self {
            directory,
            simulator,
            users,
            profile,
            place,
            servers,
            settings,
            _simulator: process,
        };
        let origin = world.simulator.clone();
        world.call_api_at(&origin);
        world
    }

    /// The same with the topology declared.
    pub(crate) fn with_topology(place: usize, users: Vec<User>) -> Self {
        let world = Self::new(place, users);
        world.declare();
        world
    }

    /// Declares exchanges and queues, and the queue in which an upstream system collects results.
    pub(crate) fn declare(&self) {
        self.run(&["topology"]).expect(0);
        broker::declare_results_queue(&self.queue_url(), RESULTS);
    }

    /// Changes a setting for what is started from now on.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.unset(name);
        self.settings.push((name.to_owned(), value.to_owned()));
    }

    /// Reaches the API at another origin, for what is started from now on.
    pub(crate) fn call_api_at(&mut self, origin: &str) {
        self.set("OFFBOARDER_CXONE_BASE_URI", origin);
        if let Some(path) = self.profile.token_path() {
            self.set(TOKEN_URI, &format!("{origin}{path}"));
        }
    }

    /// Keeps checkpoints and archive in directories of this world.
    pub(crate) fn use_file_stores(&mut self) {
        let stores = self.directory.path().join("stores").display().to_string();
        self.set("OFFBOARDER_CHECKPOINTS_URL", &format!("file:{stores}"));
        self.set("OFFBOARDER_ARCHIVE_URL", &format!("file:{stores}/archive"));
    }

    /// Takes a setting away.
    pub(crate) fn unset(&mut self, name: &str) {
        self.settings.retain(|(known, _)| known != name);
    }

    /// The value of a setting.
    pub(crate) fn setting(&self, name: &str) -> &str {
        let found = self.settings.iter().find(|(known, _)| known == name);
        &found.expect("a known setting").1
    }

    /// All settings, for a script that runs the binary.
    pub(crate) fn environment(&self) -> BTreeMap<String, String> {
        self.settings.iter().cloned().collect()
    }

    /// The binary, or a wrapper that becomes it.
    fn offboarder(&self, wrapper: &[&str], arguments: &[&str]) -> Command {
        let line = [wrapper, &[env!("CARGO_BIN_EXE_offboarder")], arguments].concat();
        self.program(Path::new(line[0]), &line[1..])
    }

    fn program(&self, program: &Path, arguments: &[&str]) -> Command {
        let mut command = command(program);
        command.args(arguments).current_dir(self.directory.path());
        command
            .env_clear()
            .envs(self.settings.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Starts the binary.
    pub(crate) fn start(&self, arguments: &[&str]) -> Process {
        self.start_with(arguments, &[])
    }

    /// Starts the binary with settings that only this process gets.
    pub(crate) fn start_with(&self, arguments: &[&str], settings: &[(String, String)]) -> Process {
        let mut command = self.offboarder(&[], arguments);
        command.envs(settings.iter().map(|(name, value)| (name, value)));
        Process::start(command, self.directory.path(), arguments[0])
    }

    /// Starts the binary under a command that becomes it, e.g. `prlimit --nofile=20`.
    pub(crate) fn start_under(&self, wrapper: &[&str], arguments: &[&str]) -> Process {
        Process::start(
            self.offboarder(wrapper, arguments),
            self.directory.path(),
            arguments[0],
        )
    }

    /// Starts another release.
    pub(crate) fn start_release(&self, binary: &Path, arguments: &[&str]) -> Process {
        Process::start(
            self.program(binary, arguments),
            self.directory.path(),
            arguments[0],
        )
    }

    /// Runs the binary to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ended {
        self.run_under(&[], arguments)
    }

    /// The same under a command that becomes it.
    pub(crate) fn run_under(&self, wrapper: &[&str], arguments: &[&str]) -> Ended {
        let mut process = self.start_under(wrapper, arguments);
        let status = process.end(PATIENCE);
        Ended {
            code: status.code(),
            output: process.output(),
            errors: process.errors(),
        }
    }

    /// Runs the binary with `--output json` to its end, with this status; the document that it prints.
    #[track_caller]
    pub(crate) fn json(&self, arguments: &[&str], code: i32) -> Value {
        let arguments = [arguments, &["--output", "json"]].concat();
        self.run(&arguments).expect(code).json()
    }

    /// The entries of the audit log, the newest first, and the whole answer of the command.
    pub(crate) fn audit_log(&self, arguments: &[&str]) -> Vec<Value> {
        let log = self.json(&[&AUDIT_LOG[..], &["list"], arguments].concat(), 0);
        list(&log[AUDIT_LOG_ENTRIES]).clone()
    }

    /// Adds a person to the people file, and answers with the key.
    pub(crate) fn add_person(&self, name: &str, role: &str) -> String {
        let added = self.run(&["people", "add", name, "--role", role]).expect(0);
        let key = added.output.lines().last().expect("a key").trim();
        assert!(key.starts_with("offboarder_"), "{}", added.output);
        key.to_owned()
    }

    /// Ends a worker by SIGTERM; it has to drain without an error.
    pub(crate) fn drain(mut worker: Process) {
        worker.signal("TERM");
        let status = worker.end(Duration::from_secs(35));
        assert_eq!(
            status.code(),
            Some(0),
            "a drained worker ends with 0: {}",
            tail(&worker.errors())
        );
    }

    /// Writes a file into the directory of the world; its path.
    pub(crate) fn write(&self, name: &str, text: &str) -> String {
        let path = self.directory.path().join(name);
        std::fs::write(&path, text).expect("the file is written");
        path.display().to_string()
    }

    /// The objects below the prefix of this world.
    pub(crate) fn objects(&self) -> Objects {
        Objects::at(self.setting("OFFBOARDER_ARCHIVE_URL"), &self.servers)
    }
}

fn start_simulator(directory: &Path, users: &[User], flags: &[&str]) -> Process {
    let population = directory.join("population.json");
    let records: Vec<Value> = users.iter().map(User::record).collect();
    std::fs::write(&population, Value::from(records).to_string())
        .expect("the population is written");

    let mut serve = command(Path::new(env!("CARGO_BIN_EXE_offboarder")));
    serve
        .env_clear()
        .args(["simulator", "--listen", "127.0.0.1:0"])
        .args(["--users", "0", "--seed", "1"])
        .args(["--client-id", CLIENT_ID, "--client-secret", CLIENT_SECRET])
        .arg("--population")
        .arg(&population)
        .args(flags);
    Process::start(serve, directory, "simulator")
}

/// The settings with which the program finds what belongs to a place.
fn settings_of_services(servers: &Servers, place: usize, simulator: &str) -> Vec<(String, String)> {
    let redis = servers.setting("OFFBOARDER_CHECKPOINTS_URL");
    let redis = redis.rsplit_once('/').expect("a database in the URL").0;
    let archive = servers.setting("OFFBOARDER_ARCHIVE_URL");
    let bucket = archive
        .trim_start_matches("s3://")
        .split('/')
        .next()
        .expect("a bucket");

    [
        ("OFFBOARDER_CXONE_BASE_URI", simulator.to_owned()),
        ("OFFBOARDER_CXONE_CLIENT_ID", CLIENT_ID.to_owned()),
        ("OFFBOARDER_CXONE_CLIENT_SECRET", CLIENT_SECRET.to_owned()),
        ("OFFBOARDER_CXONE_RATE_ROUTING", "off".to_owned()),
        ("OFFBOARDER_CXONE_RATE_SCIM", "off".to_owned()),
        ("OFFBOARDER_CXONE_RATE_ANALYTICS", "off".to_owned()),
        ("OFFBOARDER_CXONE_PAGE_SIZE", PAGE_SIZE.to_string()),
        ("OFFBOARDER_QUEUE_URL", queue_url(servers, place)),
        ("OFFBOARDER_CHECKPOINTS_URL", format!("{redis}/{place}")),
        (
            "OFFBOARDER_ARCHIVE_URL",
            format!("s3://{bucket}/place-{place}/"),
        ),
        ("OFFBOARDER_ARCHIVE_FORCE_PATH_STYLE", "true".to_owned()),
        ("OFFBOARDER_WORKER_RETRY_BASE", "100ms".to_owned()),
        ("OFFBOARDER_WORKER_RETRY_CAP", "1s".to_owned()),
        ("OFFBOARDER_ADMIN_LISTEN", "127.0.0.1:0".to_owned()),
        ("RUST_LOG", "info".to_owned()),
        ("PATH", std::env::var("PATH").expect("a PATH")),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into()
}

/// Shows what its latest processes wrote last when the trial fails: the directory is removed with it.
impl Drop for World {
    fn drop(&mut self) {
        let Ok(entries) = std::fs::read_dir(self.directory.path()) else {
            return;
        };
        if !std::thread::panicking() {
            return;
        }
        let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
        let mut logs: Vec<_> = paths
            .filter(|path| path.extension().is_some_and(|end| end == "err"))
            .filter_map(|path| Some((std::fs::metadata(&path).ok()?.modified().ok()?, path)))
            .collect();
        logs.sort();
        for (_, path) in logs.iter().rev().take(3) {
            let text = std::fs::read(path).unwrap_or_default();
            eprintln!(
                "{}:\n{}\n",
                path.display(),
                last(&String::from_utf8_lossy(&text), 40)
            );
        }
    }
}

fn queue_url(servers: &Servers, place: usize) -> String {
    let url = servers.setting("OFFBOARDER_QUEUE_URL");
    let origin = url.rsplit_once('/').expect("a virtual host in the URL").0;
    format!("{origin}/{}", servers::vhost(place))
}
