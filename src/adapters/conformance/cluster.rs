//! A Redis in cluster mode with one node that has all slots: its scripts may use keys of one slot only, whatever the number
//! of nodes is.

use std::net::{Ipv4Addr, TcpListener};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::setup::raw_redis;
use crate::address::RedisUrl;

/// Ends with the server when standard input closes: at the end of this process, however it ends.
const SCRIPT: &str = "redis-server --bind 127.0.0.1 --port $1 --cluster-port $2 --cluster-enabled yes --save '' \
     --dir $3 >$3/log & server=$!; cat; kill $server; wait";

/// How long the server may take to start.
const STARTS_WITHIN: Duration = Duration::from_secs(30);

pub(super) struct Cluster {
    pub(super) port: u16,
    _script: Child,
    _lifeline: ChildStdin,
    _directory: TempDir,
}

impl Cluster {
    pub(super) async fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let ports = [(); 2].map(|()| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap());
        let ports = ports.map(|port| port.local_addr().unwrap().port());
        let mut script = Command::new("sh")
            .args(["-c", SCRIPT, "sh"])
            .args(ports.map(|port| port.to_string()))
            .arg(directory.path())
            .stdin(Stdio::piped())
            .spawn()
            .expect("a shell");
        let cluster = Self {
            port: ports[0],
            _lifeline: script.stdin.take().expect("a pipe"),
            _script: script,
            _directory: directory,
        };

        let begun = Instant::now();
        while std::net::TcpStream::connect((Ipv4Addr::LOCALHOST, cluster.port)).is_err() {
            assert!(begun.elapsed() < STARTS_WITHIN, "it did not start");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let url = cluster.url("redis");
        let mut slots = ::redis::cmd("CLUSTER");
        slots.arg("ADDSLOTSRANGE").arg(0).arg(16_383);
        raw_redis::<String>(&url, &slots).await;
        let mut info = ::redis::cmd("CLUSTER");
        info.arg("INFO");
        while !raw_redis::<String>(&url, &info)
            .await
            .contains("cluster_state:ok")
        {
            assert!(begun.elapsed() < STARTS_WITHIN, "it has no slots");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        cluster
    }

    pub(super) fn url(&self, scheme: &str) -> RedisUrl {
        let database = if scheme == "redis" { "/0" } else { "" };
        RedisUrl::parse(&format!("{scheme}://127.0.0.1:{}{database}", self.port)).unwrap()
    }
}
