//! A proxy between the program and the simulator that judges all traffic by the document of the API.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde_json::{Value, json};

use super::process::{Process, tail};
use super::world::World;
use super::{list, python, repository};

/// `openapi_proxy.py`, with openapi-core as the judge.
pub(crate) struct ContractProxy {
    process: Process,
    report: PathBuf,
}

impl ContractProxy {
    /// Starts it, and lets the world's processes call the API through it from now on. Tokens come through it, too.
    pub(crate) fn before(world: &mut World) -> Self {
        let report = world.directory.path().join("report.json");
        let mut command = python::script("openapi_proxy.py");
        command.args(["--upstream", &world.simulator]);
        command
            .arg("--spec")
            .arg(repository(world.profile.contract()))
            .arg("--report")
            .arg(&report);
        let mut process = Process::start(command, world.directory.path(), "proxy");
        let origin = process.url();
        world.call_api_at(&origin);
        Self { process, report }
    }

    fn report(&self) -> Value {
        let report = std::fs::read(&self.report).expect("a report");
        serde_json::from_slice(&report).expect("JSON")
    }

    /// Panics unless every request and every answer so far keeps to the document.
    #[track_caller]
    pub(crate) fn assert_kept(&self) {
        let violations = &self.report()["violations"];
        assert_eq!(*violations, json!([]), "{}", tail(&self.process.errors()));
    }

    /// The operations that were judged, as `METHOD /path/{pattern}`.
    pub(crate) fn judged(&self) -> BTreeSet<String> {
        let report = self.report();
        let judged = report["validated"].as_object().expect("counts");
        judged.keys().cloned().collect()
    }

    /// The operations of the document that a run uses.
    pub(crate) fn used_by_runs(&self) -> BTreeSet<String> {
        let report = self.report();
        let used = list(&report["usedByRuns"]).iter();
        used.map(|one| one.as_str().expect("an operation").to_owned())
            .collect()
    }
}
