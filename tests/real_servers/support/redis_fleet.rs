//! Several servers of Redis over TLS with a private CA, as sentinels or a cluster.

use std::collections::hash_map::RandomState;
use std::fs;
use std::hash::{BuildHasher as _, Hasher as _};
use std::net::{Ipv4Addr, TcpListener};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use super::population::User;
use super::world::World;
use super::{eventually, repository};

const SERVERS: usize = 6;
/// The bus of a cluster has the port of its node, and this many more.
const BUS: u16 = 10_000;

#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Arrangement {
    Sentinel,
    Cluster,
}

pub(crate) struct RedisFleet {
    arrangement: Arrangement,
    ports: Vec<u16>,
    directory: TempDir,
    lifeline: Option<ChildStdin>,
    script: Child,
}

impl RedisFleet {
    /// `down_after`: how long a server is silent before the others replace it.
    pub(crate) fn start(arrangement: Arrangement, down_after: Duration) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let ports = free_ports();
        let mut script = Command::new("bash")
            .arg(repository("tests/real_servers/support/redis_fleet.sh"))
            .arg(match arrangement {
                Arrangement::Sentinel => "sentinel",
                Arrangement::Cluster => "cluster",
            })
            .arg(directory.path())
            .arg(down_after.as_millis().to_string())
            .args(ports.iter().map(u16::to_string))
            .stdin(Stdio::piped())
            .spawn()
            .expect("bash runs");
        let fleet = Self {
            arrangement,
            ports,
            lifeline: script.stdin.take(),
            directory,
            script,
        };
        eventually(Duration::from_mins(1), || {
            let ready = fleet.path("ready").exists();
            ready.then_some(()).ok_or_else(|| "no fleet".to_owned())
        });
        fleet
    }

    /// Lets what is started in this world use it.
    pub(crate) fn serve(&self, world: &mut World) {
        let hosts = |ports: &[u16]| {
            let hosts: Vec<String> = ports
                .iter()
                .map(|port| format!("127.0.0.1:{port}"))
                .collect();
            hosts.join(",")
        };
        let url = match self.arrangement {
            Arrangement::Sentinel => {
                format!("rediss+sentinel://:secret@{}/main", hosts(&self.ports[3..]))
            }
            Arrangement::Cluster => format!("rediss+cluster://:secret@{}", hosts(&self.ports[..3])),
        };
        world.set("OFFBOARDER_CHECKPOINTS_URL", &url);
        for (setting, file) in [
            ("CA_FILE", "ca.pem"),
            ("CLIENT_CERT_FILE", "cert.pem"),
            ("CLIENT_KEY_FILE", "key.pem"),
        ] {
            let file = self.path(file).display().to_string();
            world.set(&format!("OFFBOARDER_CHECKPOINTS_{setting}"), &file);
        }
        if self.arrangement == Arrangement::Sentinel {
            world.set("OFFBOARDER_CHECKPOINTS_SENTINEL_PASSWORD", "of-sentinels");
        }
    }

    /// Sends a signal to the first master: KILL ends it, so that new connections are refused; STOP freezes it, so that they
    /// are taken and nothing is answered.
    pub(crate) fn signal_master(&self, signal: &str) {
        let pid =
            fs::read_to_string(self.path(&format!("{}.pid", self.ports[0]))).expect("a process");
        let sent = Command::new("/bin/kill")
            .args(["-s", signal, pid.trim()])
            .status();
        assert!(sent.expect("kill runs").success());
    }

    /// The users whose keys the first master has.
    pub(crate) fn users_of_master(&self, users: &[User]) -> Vec<String> {
        let ids = users.iter().map(|user| user.id.clone());
        if self.arrangement == Arrangement::Sentinel {
            return ids.collect();
        }
        let slots = self.master_slots();
        let slot_of = |id: &String| -> u16 {
            let slot = self.cli(self.ports[0], "secret", &["cluster", "keyslot", id]);
            slot.parse().expect("a slot")
        };
        ids.filter(|id| slots.contains(&slot_of(id))).collect()
    }

    /// Of a cluster: the slots that the first master has now, which are one range.
    fn master_slots(&self) -> RangeInclusive<u16> {
        let nodes = self.cli(self.ports[0], "secret", &["cluster", "nodes"]);
        let own = nodes.lines().find(|line| line.contains("myself,master"));
        let slots = own.and_then(|line| line.split(' ').nth(8)).expect("slots");
        let (first, last) = slots.split_once('-').expect("a range");
        first.parse().expect("a slot")..=last.parse().expect("a slot")
    }

    /// Waits until the servers themselves have replaced it.
    pub(crate) fn await_failover(&self) {
        eventually(Duration::from_mins(1), || {
            let taken = match self.arrangement {
                Arrangement::Sentinel => {
                    let asked = ["sentinel", "get-master-addr-by-name", "main"];
                    let named = self.cli(self.ports[3], "of-sentinels", &asked);
                    let port = named.lines().nth(1).and_then(|port| port.parse().ok());
                    port.is_some_and(|port| {
                        port != self.ports[0]
                            && self.cli(port, "secret", &["set", "trial", "1"]) == "OK"
                    })
                }
                Arrangement::Cluster => {
                    let info = self.cli(self.ports[1], "secret", &["cluster", "info"]);
                    let nodes = self.cli(self.ports[1], "secret", &["cluster", "nodes"]);
                    info.contains("cluster_state:ok") && nodes.contains("master,fail ")
                }
            };
            taken.then_some(()).ok_or_else(|| "no failover".to_owned())
        });
    }

    fn cli(&self, port: u16, password: &str, command: &[&str]) -> String {
        let file = |name: &str| self.path(name);
        let answer = Command::new("redis-cli")
            .args([
                "--tls",
                "--no-auth-warning",
                "-p",
                &port.to_string(),
                "--pass",
                password,
            ])
            .arg("--cacert")
            .arg(file("ca.pem"))
            .arg("--cert")
            .arg(file("cert.pem"))
            .arg("--key")
            .arg(file("key.pem"))
            .args(command)
            .output()
            .expect("redis-cli runs");
        String::from_utf8_lossy(&answer.stdout).trim().to_owned()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }
}

impl Drop for RedisFleet {
    fn drop(&mut self) {
        self.lifeline = None;
        if let Err(error) = self.script.wait() {
            eprintln!("redis_fleet.sh did not end: {error}");
        }
    }
}

/// Ports that are free together with those of the bus.
fn free_ports() -> Vec<u16> {
    let mut held = Vec::new();
    let mut ports = Vec::new();
    // Another fleet may start at this moment, here or in another process.
    let random = RandomState::new().build_hasher().finish();
    for port in 20_000 + u16::try_from(random % 9000).expect("it is small").. {
        let both = [port, port + BUS].map(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)));
        if both.iter().all(Result::is_ok) {
            held.push(both);
            ports.push(port);
        }
        if ports.len() == SERVERS {
            break;
        }
    }
    ports
}
