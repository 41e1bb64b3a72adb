//! Three RabbitMQ nodes that are one cluster. `deploy/local/servers.sh` starts single nodes.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use super::network::Network;
use super::process::{Process, command, last, tail};
use super::{eventually, repository};

/// Debian's wrapper in /usr/sbin requires its own user.
const PROGRAMS: &str = "/usr/lib/rabbitmq/bin";
pub(crate) const NODES: usize = 3;
/// A node on a busy machine.
const START: Duration = Duration::from_mins(2);
/// How long nodes that hear nothing of each other wait before they give each other up, in seconds. RabbitMQ's default is 60.
pub(crate) const TICK_TIME: u64 = 8;

/// All nodes end with it.
pub(crate) struct Cluster {
    nodes: Vec<Node>,
    epmds: Vec<Process>,
    /// Another root directory that has RabbitMQ.
    root: Option<PathBuf>,
    pub(crate) network: Network,
    /// What a node does that lost the others: `pause_minority`, `ignore`.
    handling: &'static str,
    /// How often a node ended by itself while it started.
    pub(crate) gave_up_starts: usize,
    directory: TempDir,
}

struct Node {
    name: String,
    running: Option<Process>,
}

impl Cluster {
    /// Starts the nodes together, since each waits for the others to make one cluster.
    pub(crate) fn start(root: Option<PathBuf>, network: Network, handling: &'static str) -> Self {
        let node = |number: usize| Node {
            name: network.node_name(number),
            running: None,
        };
        let mut cluster = Self {
            nodes: (0..NODES).map(node).collect(),
            epmds: Vec::new(),
            root,
            network,
            handling,
            gave_up_starts: 0,
            directory: tempfile::tempdir().expect("a temporary directory"),
        };
        for number in cluster.network.epmds() {
            let epmd = cluster.network.epmd_port.to_string();
            let address = cluster.network.address(number);
            let epmd = cluster.program(number, "epmd", &["-address", &address, "-port", &epmd]);
            cluster
                .epmds
                .push(Process::start(epmd, cluster.directory.path(), "epmd"));
        }
        (0..NODES).for_each(|number| cluster.begin(number));
        (0..NODES).for_each(|number| cluster.await_running(number));
        let nodes = cluster.ctl(&["eval", "length([node() | nodes()])."]);
        assert_eq!(nodes.trim(), NODES.to_string(), "nodes run");
        cluster
    }

    /// Moves users, queues and bindings from Mnesia to Khepri, a Raft of its own.
    pub(crate) fn use_khepri(&self) {
        self.ctl(&["enable_feature_flag", "--experimental", "khepri_db"]);
    }

    /// What RabbitMQ and Erlang say that they are.
    pub(crate) fn release(&self) -> String {
        let said = self.ctl(&[
            "eval",
            "lists:flatten([\"RabbitMQ \", rabbit_misc:version(), \", Erlang \", erlang:system_info(otp_release)]).",
        ]);
        said.trim().trim_matches('"').to_owned()
    }

    /// Host and port of each node, with commas.
    pub(crate) fn hosts(&self) -> String {
        let host = |number| {
            let address = self.network.address(number);
            format!("{address}:{}", self.network.port(number))
        };
        (0..NODES).map(host).collect::<Vec<_>>().join(",")
    }

    /// The URL of one node.
    pub(crate) fn url(&self, number: usize) -> String {
        let address = self.network.address(number);
        format!(
            "amqp://guest:guest@{address}:{}/%2f",
            self.network.port(number)
        )
    }

    /// The node of a worker's connection for this purpose, `consume` or `publish`; the other one may be at another.
    pub(crate) fn node_of(&self, purpose: &str) -> usize {
        let purpose = format!(" {purpose}");
        eventually(Duration::from_secs(20), || {
            let listed = self.ctl(&["list_connections", "pid", "client_properties"]);
            let line = listed.lines().find(|line| line.contains(&purpose));
            let of = |line: &str| {
                let mut nodes = self.nodes.iter();
                nodes.position(|node| line.starts_with(&format!("<{}.", node.name)))
            };
            line.and_then(of).ok_or(listed)
        })
    }

    /// As if its machine had lost power.
    pub(crate) fn kill(&mut self, number: usize) {
        self.nodes[number].running = None;
    }

    /// Starts a node, and waits until it answers.
    pub(crate) fn restart(&mut self, number: usize) {
        self.begin(number);
        self.await_running(number);
    }

    /// Starts a node. Of several that lost each other none answers before the others are there.
    pub(crate) fn begin(&mut self, number: usize) {
        let server = format!("{PROGRAMS}/rabbitmq-server");
        let mut server = self.program(number, &server, &[]);
        // It becomes the Erlang machine, so that the process that we know is that one.
        server.env("detached", "yes");
        let name = format!("node-{number}");
        self.nodes[number].running = Some(Process::start(server, self.directory.path(), &name));
    }

    /// A node that gives up its own start is started again, as systemd and Kubernetes do.
    pub(crate) fn await_running(&mut self, number: usize) {
        let url = self.url(number);
        eventually(START, || {
            super::broker::let_in(&url).map_err(|error| {
                let process = self.nodes[number].running.as_mut();
                if process.and_then(Process::ended).is_some() {
                    self.begin(number);
                    self.gave_up_starts += 1;
                }
                let running = self.nodes[number].running.as_ref();
                let says = running.map(|node| tail(&node.output()));
                let says = says.unwrap_or_default();
                format!("node {number}: {error}; {says}; {}", self.log(number))
            })
        });
    }

    fn log(&self, number: usize) -> String {
        let name = format!("logs/{}.log", self.nodes[number].name);
        let log = std::fs::read(self.home(number).join(name)).unwrap_or_default();
        last(&String::from_utf8_lossy(&log), 20)
    }

    /// `rabbitmqctl` of a node that runs; its standard output.
    fn ctl(&self, arguments: &[&str]) -> String {
        let running = |node: &Node| node.running.is_some();
        let number = self.nodes.iter().position(running).expect("a node runs");
        let ctl = format!("{PROGRAMS}/rabbitmqctl");
        let mut ctl = self.program(number, &ctl, &[&["--quiet"], arguments].concat());
        let answer = ctl.output().expect("rabbitmqctl runs");
        assert!(answer.status.success(), "{arguments:?}: {answer:?}");
        String::from_utf8_lossy(&answer.stdout).into_owned()
    }

    fn home(&self, number: usize) -> PathBuf {
        self.directory.path().join(&self.nodes[number].name)
    }

    /// A program of RabbitMQ in the place of a node: its network, its root directory, its files.
    fn program(&self, number: usize, program: &str, arguments: &[&str]) -> Command {
        let mut words = self.network.within(number);
        if let Some(root) = &self.root {
            let within = repository("deploy/local/within.sh");
            let paths = [&within, root, self.directory.path()].map(|path: &Path| {
                let path = path.to_str().expect("a path of text");
                path.to_owned()
            });
            words.extend(["unshare", "--mount"].map(str::to_owned));
            words.extend(paths);
        }
        words.push(program.to_owned());
        let mut command = command(Path::new(&words[0]));
        command.args(&words[1..]).args(arguments);
        self.configure(&mut command, number);
        command
    }

    /// The environment of a node, with its files.
    fn configure(&self, command: &mut Command, number: usize) {
        let node = &self.nodes[number];
        let own = self.home(number);
        std::fs::create_dir_all(&own).expect("a directory");
        let write = |name: &str, text: &str| std::fs::write(own.join(name), text).expect("a file");
        write("env.conf", "");
        write("advanced.config", "[].\n");
        write("enabled_plugins", "[].\n");
        write("rabbitmq.conf", &self.settings(number));

        let network = &self.network;
        let address = network.address(number);
        let erlang = format!(
            "-kernel inet_dist_use_interface {{{}}} -kernel net_ticktime {TICK_TIME}",
            address.replace('.', ",")
        );
        command.current_dir(self.directory.path()).envs([
            ("LC_ALL", "C.UTF-8"),
            ("ERL_EPMD_ADDRESS", &address),
            ("RABBITMQ_NODENAME", &node.name),
            ("RABBITMQ_NODE_IP_ADDRESS", &address),
            ("RABBITMQ_USE_LONGNAME", network.long_names()),
            ("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", &erlang),
            ("RABBITMQ_CTL_ERL_ARGS", &erlang),
        ]);
        command.env("ERL_EPMD_PORT", network.epmd_port.to_string());
        command.env("RABBITMQ_NODE_PORT", network.port(number).to_string());
        command.env("RABBITMQ_DIST_PORT", network.dist_port(number).to_string());
        command.env("RABBITMQ_CTL_DIST_PORT_MIN", "10000");
        command.env("RABBITMQ_CTL_DIST_PORT_MAX", "32000");
        for (name, path) in [
            ("RABBITMQ_MNESIA_BASE", "mnesia"),
            ("RABBITMQ_LOG_BASE", "logs"),
            ("RABBITMQ_PID_FILE", "beam.pid"),
            ("RABBITMQ_CONF_ENV_FILE", "env.conf"),
            ("RABBITMQ_CONFIG_FILE", "rabbitmq.conf"),
            ("RABBITMQ_ADVANCED_CONFIG_FILE", "advanced.config"),
            ("RABBITMQ_ENABLED_PLUGINS_FILE", "enabled_plugins"),
        ] {
            command.env(name, own.join(path));
        }
        // The nodes have one cookie in one home.
        command.env("HOME", self.directory.path());
    }

    fn settings(&self, number: usize) -> String {
        let mut settings = format!(
            "listeners.tcp.1 = {}:{}\nlog.file.level = warning\nloopback_users = none\n\
             cluster_partition_handling = {}\n\
             cluster_formation.peer_discovery_backend = classic_config\n",
            self.network.address(number),
            self.network.port(number),
            self.handling
        );
        for (number, node) in self.nodes.iter().enumerate() {
            let line = format!(
                "cluster_formation.classic_config.nodes.{} = {}\n",
                number + 1,
                node.name
            );
            settings.push_str(&line);
        }
        settings
    }
}
