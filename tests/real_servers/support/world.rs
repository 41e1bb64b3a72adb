//! One test's own corner: a simulator, a virtual host, a Redis database, a prefix, a directory.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::helper::Helper;
use super::http;
use super::population::{PAGE_SIZE, User};
use super::process::{Process, command, last, tail};
use super::servers::{self, Servers};

/// How long the whole of a test's users may take on a slow machine.
pub(crate) const PATIENCE: Duration = Duration::from_mins(4);
/// Where a system around collects what it hears.
pub(crate) const RESULTS: &str = "upstream.results";
const CLIENT_ID: &str = "tests";
pub(crate) const CLIENT_SECRET: &str = "secret-of-the-tests";

/// What a command left behind when it ended.
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) output: String,
    pub(crate) errors: String,
}

impl Ended {
    /// Panics unless it ended with this status.
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

pub(crate) struct World {
    pub(crate) directory: TempDir,
    pub(crate) simulator: String,
    pub(crate) users: Vec<User>,
    place: usize,
    servers: Arc<Servers>,
    settings: Vec<(String, String)>,
    _simulator: Process,
}

impl World {
    /// A corner with these users at the simulator, and no topology declared yet.
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
        let directory = tempfile::tempdir().expect("a temporary directory");
        let population = directory.path().join("population.json");
        let records: Vec<Value> = users.iter().map(User::record).collect();
        std::fs::write(&population, Value::from(records).to_string())
            .expect("the population is written");
        let mut serve = command(Path::new(env!("CARGO_BIN_EXE_offboarder")));
        serve.env_clear().args([
            "simulator",
            "--listen",
            "127.0.0.1:0",
            "--users",
            "0",
            "--seed",
            "1",
        ]);
        serve.args(["--client-id", CLIENT_ID, "--client-secret", CLIENT_SECRET]);
        serve.arg("--population").arg(&population).args(flags);
        let mut process = Process::start(serve, directory.path(), "simulator");
        let simulator = process.url();

        let redis = servers.setting("OFFBOARDER_CHECKPOINTS_URL");
        let redis = redis.rsplit_once('/').expect("a database in the URL").0;
        let bucket = servers.setting("OFFBOARDER_ARCHIVE_URL");
        let bucket = bucket
            .trim_start_matches("s3://")
            .split('/')
            .next()
            .expect("a bucket")
            .to_owned();
        let mut settings: Vec<(String, String)> = [
            ("OFFBOARDER_CXONE_BASE_URI", simulator.clone()),
            ("OFFBOARDER_CXONE_CLIENT_ID", CLIENT_ID.to_owned()),
            ("OFFBOARDER_CXONE_CLIENT_SECRET", CLIENT_SECRET.to_owned()),
            ("OFFBOARDER_CXONE_RATE_ROUTING", "off".to_owned()),
            ("OFFBOARDER_CXONE_RATE_SCIM", "off".to_owned()),
            ("OFFBOARDER_CXONE_RATE_ANALYTICS", "off".to_owned()),
            ("OFFBOARDER_CXONE_PAGE_SIZE", PAGE_SIZE.to_string()),
            ("OFFBOARDER_QUEUE_URL", queue_url(&servers, place)),
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
            ("HOME", directory.path().display().to_string()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into();
        settings.extend(servers.aws_settings());
        Self {
            directory,
            simulator,
            users,
            place,
            servers,
            settings,
            _simulator: process,
        }
    }

    /// The same with the topology declared.
    pub(crate) fn with_topology(place: usize, users: Vec<User>) -> Self {
        let world = Self::new(place, users);
        world.declare();
        world
    }

    /// Exchanges and queues, and one that collects how jobs ended, as a system around would.
    pub(crate) fn declare(&self) {
        self.run(&["topology"]).expect(0);
        self.ask_queues(&["listen", RESULTS]);
    }

    /// Changes a setting for what is started from now on.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.unset(name);
        self.settings.push((name.to_owned(), value.to_owned()));
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

    /// Starts the binary under a command that becomes it, such as `prlimit --nofile=20`.
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

    /// Ends a worker by SIGTERM; it has to go in peace.
    pub(crate) fn drain(mut worker: Process) {
        worker.signal("TERM");
        let status = worker.end(Duration::from_secs(35));
        assert_eq!(
            status.code(),
            Some(0),
            "a drained worker ends well: {}",
            tail(&worker.errors())
        );
    }

    /// Publishes messages as a foreign system would; all have to be routed.
    pub(crate) fn publish(&self, messages: &[Value]) {
        let lines: Vec<String> = messages.iter().map(Value::to_string).collect();
        let report = Helper::new("publish.py")
            .arg(self.queue_url())
            .answer(&lines.join("\n"));
        assert_eq!(
            report,
            json!({ "published": messages.len(), "unroutable": [] })
        );
    }

    /// Publishes one plain message for each user.
    pub(crate) fn publish_all(&self) {
        let messages: Vec<Value> = self
            .users
            .iter()
            .map(|user| json!({ "body": user.id }))
            .collect();
        self.publish(&messages);
    }

    /// Messages ready in a queue; nothing when there is no such queue.
    pub(crate) fn depth(&self, queue: &str) -> Option<u64> {
        self.ask_queues(&["depths", queue])[queue].as_u64()
    }

    /// The messages in a queue, which stay there.
    pub(crate) fn letters(&self, queue: &str) -> Vec<Value> {
        self.ask_queues(&["letters", queue])
            .as_array()
            .expect("a list")
            .clone()
    }

    /// A command of `queues.py`.
    pub(crate) fn ask_queues(&self, arguments: &[&str]) -> Value {
        Helper::new("queues.py")
            .arg(self.queue_url())
            .args(arguments)
            .answer("")
    }

    /// `rabbitmqctl COMMAND -p VHOST ARGUMENT...`
    pub(crate) fn rabbitmqctl(&self, command: &str, arguments: &[&str]) -> String {
        let vhost = servers::vhost(self.place);
        self.servers
            .rabbitmqctl(&[&[command, "-p", &vhost], arguments].concat())
    }

    /// All queues that hold a message, in hands or not.
    pub(crate) fn queues_in_use(&self) -> Vec<String> {
        let listed = self
            .ask_broker("messages", "query_messages_total")
            .into_iter();
        let in_use =
            listed.filter(|(queue, count)| queue.starts_with("offboarding.") && *count > 0);
        in_use
            .map(|(queue, count)| format!("{queue}: {count}"))
            .collect()
    }

    /// Messages that some worker has in its hands.
    pub(crate) fn messages_in_hands(&self) -> u64 {
        let listed = self
            .ask_broker("messages_unacknowledged", "query_messages_checked_out")
            .into_iter();
        listed.map(|(_, count)| count).sum()
    }

    /// A number of each queue. What the broker lists of quorum queues lags by seconds, so their leaders are asked.
    fn ask_broker(&self, item: &str, query: &str) -> Vec<(String, u64)> {
        let vhost = servers::vhost(self.place);
        let told = self.servers.eval(&format!(
            "Count = fun(Q) -> case amqqueue:get_type(Q) of \
               rabbit_quorum_queue -> {{ok, {{_, N}}, _}} = ra:leader_query(amqqueue:get_pid(Q), fun rabbit_fifo:{query}/1), N; \
               _ -> proplists:get_value({item}, rabbit_amqqueue:info(Q, [{item}])) end end, \
             [io:format(\"~s ~b~n\", [element(4, amqqueue:get_name(Q)), Count(Q)]) \
               || Q <- rabbit_amqqueue:list(<<\"{vhost}\">>)], ok."
        ));
        let line = |line: &str| {
            let (queue, count) = line.rsplit_once(' ').expect("a queue and a number");
            (queue.to_owned(), count.parse().expect("a number"))
        };
        told.lines().map(line).collect()
    }

    /// The `AWS_…` settings of its S3.
    pub(crate) fn aws_settings(&self) -> Vec<(String, String)> {
        self.servers.aws_settings()
    }

    /// Asks the simulator to do something wrong with calls about a user.
    pub(crate) fn strike(
        &self,
        user: usize,
        operation: &str,
        skip: u32,
        times: u32,
        fault: &Value,
    ) {
        let rule = json!({
            "operation": operation, "user": self.users[user].id, "skip": skip, "times": times, "fault": fault,
        });
        http::request("POST", &self.simulator, "/_simulator/faults", Some(&rule));
    }

    /// The broker itself, whatever workers are told.
    pub(crate) fn queue_url(&self) -> String {
        queue_url(&self.servers, self.place)
    }

    /// A user as the simulator has it now.
    pub(crate) fn user_now(&self, id: &str) -> Value {
        http::request(
            "GET",
            &self.simulator,
            &format!("/_simulator/users/{id}"),
            None,
        )
    }
}

/// What its latest processes said last, when the test fails: the directory goes with it.
impl Drop for World {
    fn drop(&mut self) {
        let Ok(entries) = std::fs::read_dir(self.directory.path()) else {
            return;
        };
        if !std::thread::panicking() {
            return;
        }
        let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
        let mut told: Vec<_> = paths
            .filter(|path| path.extension().is_some_and(|end| end == "err"))
            .filter_map(|path| Some((std::fs::metadata(&path).ok()?.modified().ok()?, path)))
            .collect();
        told.sort();
        for (_, path) in told.iter().rev().take(3) {
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
