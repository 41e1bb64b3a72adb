//! Three RabbitMQ nodes on loopback that are one cluster. `deploy/local/servers.sh` starts single nodes.

use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use super::eventually;
use super::process::{Process, command, tail};

/// Debian's wrapper in /usr/sbin requires its own user.
const SERVER: &str = "/usr/lib/rabbitmq/bin/rabbitmq-server";
const CTL: &str = "/usr/lib/rabbitmq/bin/rabbitmqctl";
const NODES: usize = 3;
/// A node on a busy machine.
const START: Duration = Duration::from_mins(3);

/// All nodes end with it.
pub(crate) struct Cluster {
    nodes: Vec<Node>,
    _epmd: Process,
    directory: TempDir,
    epmd_port: u16,
}

struct Node {
    name: String,
    port: u16,
    dist_port: u16,
    running: Option<Process>,
}

impl Cluster {
    /// Starts one node after the other; the last one knows both others when it answers.
    pub(crate) fn start() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let ports = free_ports();
        let epmd_port = ports[0];
        let mut epmd = command(Path::new("epmd"));
        epmd.args(["-address", "127.0.0.1", "-port", &epmd_port.to_string()]);
        let node = |number: usize| Node {
            name: format!("offboarder-{}-{number}@localhost", epmd_port),
            port: ports[1 + number],
            dist_port: ports[1 + NODES + number],
            running: None,
        };
        let mut cluster = Self {
            nodes: (0..NODES).map(node).collect(),
            _epmd: Process::start(epmd, directory.path(), "epmd"),
            directory,
            epmd_port,
        };
        for number in 0..NODES {
            cluster.restart(number);
        }
        let nodes = cluster.ctl(&["eval", "length([node() | nodes()])."]);
        assert_eq!(nodes.trim(), NODES.to_string(), "nodes run");
        cluster
    }

    /// Host and port of each node, with commas.
    pub(crate) fn hosts(&self) -> String {
        let hosts = self
            .nodes
            .iter()
            .map(|node| format!("127.0.0.1:{}", node.port));
        hosts.collect::<Vec<_>>().join(",")
    }

    /// The URL of one node.
    pub(crate) fn url(&self, number: usize) -> String {
        format!(
            "amqp://guest:guest@127.0.0.1:{}/%2f",
            self.nodes[number].port
        )
    }

    /// Which nodes a program of that name is connected to, as `ctl` lists it.
    pub(crate) fn with_consumers(&self) -> Vec<usize> {
        let listed = self.ctl(&["list_connections", "port", "client_properties"]);
        let consuming = listed.lines().filter(|line| line.contains(" consume"));
        let port = |line: &str| {
            line.split_whitespace()
                .next()
                .and_then(|port| port.parse().ok())
        };
        let ports: Vec<u16> = consuming.filter_map(port).collect();
        let found = self.nodes.iter().enumerate();
        found
            .filter(|(_, node)| ports.contains(&node.port))
            .map(|(number, _)| number)
            .collect()
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
        let mut server = command(Path::new(SERVER));
        self.configure(&mut server, number);
        server.env("detached", "yes");
        let name = format!("node-{number}");
        self.nodes[number].running = Some(Process::start(server, self.directory.path(), &name));
    }

    pub(crate) fn await_running(&self, number: usize) {
        let url = self.url(number);
        eventually(START, || {
            super::broker::let_in(&url).map_err(|error| {
                let running = self.nodes[number].running.as_ref();
                let log = running.map(|node| tail(&node.output())).unwrap_or_default();
                format!("node {number}: {error}; {log}")
            })
        });
    }

    /// `rabbitmqctl` of a node that runs; its standard output.
    fn ctl(&self, arguments: &[&str]) -> String {
        let running = |node: &Node| node.running.is_some();
        let number = self.nodes.iter().position(running).expect("a node runs");
        let mut ctl = Command::new(CTL);
        self.configure(&mut ctl, number);
        let answer = ctl.arg("--quiet").args(arguments).output();
        let answer = answer.expect("rabbitmqctl runs");
        assert!(answer.status.success(), "{arguments:?}: {answer:?}");
        String::from_utf8_lossy(&answer.stdout).into_owned()
    }

    /// The environment of a node, with its files.
    fn configure(&self, command: &mut Command, number: usize) {
        let node = &self.nodes[number];
        let home = self.directory.path();
        let own = home.join(&node.name);
        std::fs::create_dir_all(&own).expect("a directory");
        let write = |name: &str, text: &str| std::fs::write(own.join(name), text).expect("a file");
        write("env.conf", "");
        write("advanced.config", "[].\n");
        write("enabled_plugins", "[].\n");
        let mut settings = format!(
            "listeners.tcp.1 = 127.0.0.1:{}\nlog.file.level = warning\n\
             cluster_partition_handling = pause_minority\n\
             cluster_formation.peer_discovery_backend = classic_config\n",
            node.port
        );
        for (number, node) in self.nodes.iter().enumerate() {
            let line = format!(
                "cluster_formation.classic_config.nodes.{} = {}\n",
                number + 1,
                node.name
            );
            settings.push_str(&line);
        }
        write("rabbitmq.conf", &settings);

        let loopback = "-kernel inet_dist_use_interface {127,0,0,1}";
        command.current_dir(home).envs([
            ("LC_ALL", "C.UTF-8"),
            ("ERL_EPMD_ADDRESS", "127.0.0.1"),
            ("RABBITMQ_NODENAME", &node.name),
            ("RABBITMQ_NODE_IP_ADDRESS", "127.0.0.1"),
            ("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", loopback),
            ("RABBITMQ_CTL_ERL_ARGS", loopback),
        ]);
        command.env("ERL_EPMD_PORT", self.epmd_port.to_string());
        command.env("RABBITMQ_NODE_PORT", node.port.to_string());
        command.env("RABBITMQ_DIST_PORT", node.dist_port.to_string());
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
        command.env("HOME", home);
    }
}

/// Of epmd and the nodes, held at the same time so that no two are the same.
fn free_ports() -> Vec<u16> {
    let bind = |_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let held: Vec<TcpListener> = (0..=2 * NODES).map(bind).collect();
    let port = |listener: &TcpListener| listener.local_addr().expect("an address").port();
    held.iter().map(port).collect()
}
