//! What the trials are built on: servers, processes, the simulator, and clients that see the result.

pub(crate) mod broker;
pub(crate) mod collector;
pub(crate) mod erlang;
pub(crate) mod failpoint;
pub(crate) mod http;
pub(crate) mod ledger;
pub(crate) mod manifests;
pub(crate) mod objects;
pub(crate) mod population;
pub(crate) mod process;
pub(crate) mod promises;
pub(crate) mod proxy;
pub(crate) mod python;
pub(crate) mod random;
pub(crate) mod redis;
pub(crate) mod registry;
pub(crate) mod runtime;
pub(crate) mod s3_proxy;
pub(crate) mod servers;
pub(crate) mod world;

use std::path::PathBuf;
use std::time::{Duration, Instant};

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

/// Waits until a condition holds; `complaint` says what is the matter if it does not in time.
pub(crate) fn await_that(
    deadline: Duration,
    mut holds: impl FnMut() -> bool,
    complaint: impl Fn() -> String,
) {
    eventually(deadline, || if holds() { Ok(()) } else { Err(complaint()) });
}

/// A path inside the repository.
pub(crate) fn repository(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path)
}
