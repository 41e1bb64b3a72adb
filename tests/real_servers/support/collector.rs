//! A telemetry collector, and what arrived there.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;

use super::eventually;
use super::process::{Process, python};

/// It ends with its owner.
pub(crate) struct Collector {
    process: Process,
    directory: PathBuf,
}

impl Collector {
    /// Starts one that writes below `directory`.
    pub(crate) fn start(directory: &Path) -> Self {
        let directory = directory.join("collector");
        std::fs::create_dir(&directory).expect("a directory");
        let mut collector = python("collector.py");
        // A pipe that is never written to: it holds until its owner is gone.
        collector.arg(&directory).stdin(Stdio::piped());
        Self {
            process: Process::start(collector, &directory, "collector"),
            directory,
        }
    }

    /// Where it takes OTLP: `http` or `grpc`.
    pub(crate) fn endpoint(&self, protocol: &str) -> String {
        eventually(Duration::from_mins(1), || {
            let told: Value = serde_json::from_str(&self.process.output())
                .map_err(|error| format!("{error}: {}", self.process.errors()))?;
            Ok(told[protocol].as_str().expect("a URL").to_owned())
        })
    }

    /// The spans that arrived until now.
    pub(crate) fn spans(&self) -> Vec<Value> {
        self.lines("spans.jsonl")
    }

    /// The metrics that arrived until now.
    pub(crate) fn metrics(&self) -> Vec<Value> {
        self.lines("metrics.jsonl")
    }

    fn lines(&self, file: &str) -> Vec<Value> {
        let text = std::fs::read_to_string(self.directory.join(file)).unwrap_or_default();
        // The last line may be on its way.
        let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
        whole
            .lines()
            .map(|line| serde_json::from_str(line).expect("JSON"))
            .collect()
    }
}
