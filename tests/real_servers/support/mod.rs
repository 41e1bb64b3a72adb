//! What the trials are built on: servers, processes, the simulator, and clients that see the result.

pub(crate) mod aws;
pub(crate) mod broker;
pub(crate) mod certificates;
pub(crate) mod cluster;
pub(crate) mod collector;
pub(crate) mod connect_proxy;
pub(crate) mod contract;
pub(crate) mod erlang;
pub(crate) mod failpoint;
pub(crate) mod histories;
pub(crate) mod http;
pub(crate) mod ledger;
pub(crate) mod manifests;
pub(crate) mod network;
pub(crate) mod objects;
pub(crate) mod parts;
pub(crate) mod population;
pub(crate) mod process;
pub(crate) mod profile;
pub(crate) mod promises;
pub(crate) mod proxy;
pub(crate) mod python;
pub(crate) mod random;
pub(crate) mod redis;
pub(crate) mod redis_fleet;
pub(crate) mod redis_monitor;
pub(crate) mod registry;
pub(crate) mod runtime;
pub(crate) mod s3_proxy;
pub(crate) mod servers;
pub(crate) mod sweep;
pub(crate) mod table;
pub(crate) mod world;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

pub(crate) use registry::trial;

/// Asks until there is an answer; panics with the last complaint at the deadline. Between two
/// questions it sleeps twice as long as the last one took, which leaves the machine to the program.
pub(crate) fn eventually<T>(deadline: Duration, mut ask: impl FnMut() -> Result<T, String>) -> T {
    let end = Instant::now() + deadline;
    loop {
        let begun = Instant::now();
        match ask() {
            Ok(answer) => return answer,
            Err(complaint) if Instant::now() >= end => {
                panic!("not within {deadline:?}: {complaint}")
            }
            Err(_) => std::thread::sleep((begun.elapsed() * 2).max(Duration::from_millis(50))),
        }
    }
}

/// A fault of the simulator: this status.
pub(crate) fn status(status: u16) -> Value {
    json!({ "kind": "status", "status": status })
}

/// A fault of the simulator: 429, to be tried again after these seconds.
pub(crate) fn throttle(seconds: u32) -> Value {
    let headers = json!({ "Retry-After": seconds.to_string() });
    json!({ "kind": "status", "status": 429, "headers": headers })
}

/// The members of a JSON list.
#[track_caller]
pub(crate) fn list(value: &Value) -> &Vec<Value> {
    value
        .as_array()
        .unwrap_or_else(|| panic!("no list: {value:#}"))
}

/// A path inside the repository.
pub(crate) fn repository(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path)
}
