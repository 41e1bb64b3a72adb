//! Where the nodes of a cluster are: all on loopback, or each in a network of its own that can be cut off.

use std::net::{Ipv4Addr, TcpListener};
use std::process::Command;

use super::cluster::NODES;

const LOOPBACK: &str = "127.0.0.1";

pub(crate) struct Network {
    pub(crate) epmd_port: u16,
    /// Of the clients, and of the other nodes.
    ports: Vec<[u16; 2]>,
    namespaces: Option<Namespaces>,
}

/// A network namespace for each node, with a cable to each other one and one to us. Needs root.
struct Namespaces {
    /// What all names begin with.
    prefix: String,
    subnet: u8,
}

impl Network {
    /// All nodes on 127.0.0.1.
    pub(crate) fn loopback() -> Self {
        let bind = |_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        // Held at the same time, so that no two are the same.
        let held: Vec<TcpListener> = (0..=2 * NODES).map(bind).collect();
        let port = |listener: &TcpListener| listener.local_addr().expect("an address").port();
        let ports: Vec<u16> = held.iter().map(port).collect();
        Self {
            epmd_port: ports[0],
            ports: ports[1..].chunks(2).map(|two| [two[0], two[1]]).collect(),
            namespaces: None,
        }
    }

    /// Each node in a network of its own; nothing where we may not make them.
    pub(crate) fn of_namespaces() -> Option<Self> {
        let id = std::process::id();
        let namespaces = Namespaces {
            prefix: format!("ob{}", id % 100_000),
            subnet: u8::try_from(id % 250).expect("it is small"),
        };
        let made = namespaces.make();
        let network = Self {
            epmd_port: 4369,
            ports: vec![[5672, 25672]; NODES],
            namespaces: Some(namespaces),
        };
        // What was made vanishes with it.
        made.then_some(network)
    }

    pub(crate) fn node_name(&self, number: usize) -> String {
        match &self.namespaces {
            Some(_) => format!("rabbit@{}", self.address(number)),
            None => format!("offboarder-{}-{number}@localhost", self.epmd_port),
        }
    }

    pub(crate) fn long_names(&self) -> &'static str {
        if self.namespaces.is_some() {
            "true"
        } else {
            "false"
        }
    }

    pub(crate) fn address(&self, number: usize) -> String {
        let of = |namespaces: &Namespaces| namespaces.address(number);
        self.namespaces
            .as_ref()
            .map_or_else(|| LOOPBACK.to_owned(), of)
    }

    pub(crate) fn port(&self, number: usize) -> u16 {
        self.ports[number][0]
    }

    pub(crate) fn dist_port(&self, number: usize) -> u16 {
        self.ports[number][1]
    }

    /// The nodes beside which an epmd runs.
    pub(crate) fn epmds(&self) -> std::ops::Range<usize> {
        0..if self.namespaces.is_some() { NODES } else { 1 }
    }

    /// The words that run a command in the network of a node.
    pub(crate) fn within(&self, number: usize) -> Vec<String> {
        let words = |namespaces: &Namespaces| {
            let words = ["ip", "netns", "exec", &namespaces.name(number)];
            words.map(str::to_owned).to_vec()
        };
        self.namespaces.as_ref().map(words).unwrap_or_default()
    }

    /// Cuts all cables between a node and the other nodes, or joins them. Its clients still reach it.
    pub(crate) fn isolate(&self, number: usize, is_cut: bool) {
        let namespaces = self.namespaces.as_ref().expect("a network of namespaces");
        for other in (0..NODES).filter(|other| *other != number) {
            namespaces.set_cable(number, other, is_cut);
        }
    }
}

impl Namespaces {
    fn name(&self, number: usize) -> String {
        format!("{}n{number}", self.prefix)
    }

    fn address(&self, number: usize) -> String {
        format!("10.77.{}.{}", self.subnet, number + 1)
    }

    /// Whether all could be made.
    fn make(&self) -> bool {
        let us = format!("10.77.{}.254", self.subnet);
        let begun = (0..NODES).all(|number| {
            let name = self.name(number);
            let ours = format!("{name}h");
            let address = self.address(number);
            ip(&format!("netns add {name}"))
                && ip(&format!("-n {name} link set lo up"))
                && ip(&format!("-n {name} address add {address}/32 dev lo"))
                && ip(&format!(
                    "link add {ours} type veth peer name us netns {name}"
                ))
                && ip(&format!("address add {us}/32 dev {ours}"))
                && ip(&format!("link set {ours} up"))
                && ip(&format!("-n {name} link set us up"))
                && ip(&format!("route add {address}/32 dev {ours} src {us}"))
                && ip(&format!("-n {name} route add {us}/32 dev us src {address}"))
        });
        begun
            && [(0, 1), (0, 2), (1, 2)].into_iter().all(|(one, other)| {
                let [name, others] = [one, other].map(|number| self.name(number));
                let cable = format!(
                    "-n {name} link add to{other} type veth peer name to{one} netns {others}"
                );
                ip(&cable) && self.join(one, other)
            })
    }

    fn join(&self, one: usize, other: usize) -> bool {
        [(one, other), (other, one)].into_iter().all(|(from, to)| {
            let name = self.name(from);
            let [source, target] = [from, to].map(|number| self.address(number));
            ip(&format!("-n {name} link set to{to} up"))
                && ip(&format!(
                    "-n {name} route replace {target}/32 dev to{to} src {source}"
                ))
        })
    }

    fn set_cable(&self, one: usize, other: usize, is_cut: bool) {
        let set = if is_cut {
            ip(&format!("-n {} link set to{other} down", self.name(one)))
        } else {
            self.join(one, other)
        };
        assert!(set, "the cable between {one} and {other} is set");
    }
}

impl Drop for Namespaces {
    fn drop(&mut self) {
        for number in 0..NODES {
            ip(&format!("netns delete {}", self.name(number)));
        }
    }
}

/// Whether `ip` obeyed.
fn ip(arguments: &str) -> bool {
    let ran = Command::new("ip").args(arguments.split(' ')).output();
    ran.is_ok_and(|ran| {
        if !ran.status.success() {
            eprintln!("ip {arguments}: {}", String::from_utf8_lossy(&ran.stderr));
        }
        ran.status.success()
    })
}
