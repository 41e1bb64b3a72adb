//! Lifting a surge: a release that failed for one user after the other takes users again.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::json;

use crate::clock::Clock;
use crate::failure::{Code, Failure};
use crate::ports::{ArchiveStore, LiveWorker, Surges, WorkerRegistry};
use crate::registers::audit_log::{AuditLog, Change, Operator};

/// Where a surge is seen and lifted.
pub(crate) struct SurgePlaces<'a> {
    pub store: &'a Arc<dyn ArchiveStore>,
    pub workers: &'a dyn WorkerRegistry,
    pub surges: &'a dyn Surges,
}

/// What was lifted. Nothing, if no worker that is alive is stopped by a surge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SurgeLifted {
    pub releases: BTreeSet<String>,
    /// How many workers were stopped.
    pub workers: usize,
}

/// Records the change in the audit log, then lets the stopped lanes of these workers take users again. `release`: only
/// the workers of this one.
pub(crate) async fn lift_surge(
    places: &SurgePlaces<'_>,
    clock: &Clock,
    operator: &Operator,
    release: Option<&str>,
) -> Result<SurgeLifted, Failure> {
    let workers = places.workers.workers().await?;
    let stopped: Vec<&LiveWorker> = workers
        .iter()
        .filter(|live| release.is_none_or(|release| live.worker.version == release))
        .filter(|live| live.worker.causes.iter().any(|cause| is_surge(cause)))
        .collect();
    let releases: BTreeSet<String> = stopped
        .iter()
        .map(|live| live.worker.version.clone())
        .collect();
    let lifted = SurgeLifted {
        releases,
        workers: stopped.len(),
    };
    if lifted.releases.is_empty() {
        return Ok(lifted);
    }

    let change = Change {
        what: "surge lift",
        count: lifted.workers,
        details: json!({ "releases": lifted.releases }),
    };
    let audit_log = AuditLog::new(Arc::clone(places.store), clock.clone());
    audit_log.record(operator, change).await?;
    for release in &lifted.releases {
        places.surges.lift(release).await?;
    }
    Ok(lifted)
}

/// A cause ends with the code of its failure.
fn is_surge(cause: &str) -> bool {
    cause.ends_with(&format!("[{}]", Code::Surge))
}
