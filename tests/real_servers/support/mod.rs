//! What the tests stand on: servers, processes, the simulator, and eyes for what came of it.

pub(crate) mod collector;
pub(crate) mod helper;
pub(crate) mod http;
pub(crate) mod ledger;
pub(crate) mod manifests;
pub(crate) mod objects;
pub(crate) mod population;
pub(crate) mod process;
pub(crate) mod promises;
pub(crate) mod proxy;
pub(crate) mod random;
pub(crate) mod redis;
pub(crate) mod s3_proxy;
pub(crate) mod servers;
pub(crate) mod world;

use std::path::PathBuf;
use std::time::{Duration, Instant};

/// A test: its name, a sentence, and what it does at the place that is its own.
pub(crate) type Test = (&'static str, fn(usize));

/// Asks again and again until there is an answer; panics with the last complaint at the deadline. It
/// rests twice as long as it looked, so that those who look leave the machine to what they look at.
pub(crate) fn eventually<T>(deadline: Duration, mut look: impl FnMut() -> Result<T, String>) -> T {
    let end = Instant::now() + deadline;
    loop {
        let begun = Instant::now();
        match look() {
            Ok(answer) => return answer,
            Err(complaint) if Instant::now() >= end => {
                panic!("not within {deadline:?}: {complaint}")
            }
            Err(_) => std::thread::sleep((begun.elapsed() * 2).max(Duration::from_millis(50))),
        }
    }
}

/// A path inside the repository.
pub(crate) fn repository(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path)
}
