//! Pausing and resuming all workers.

use std::sync::Arc;

use serde_json::Value;

use crate::clock::Clock;
use crate::failure::Failure;
use crate::ports::ArchiveStore;
use crate::registers::audit_log::{AuditLog, Change, Operator};
use crate::registers::{PauseRecord, set_pause};

/// Records the change in the audit log, then pauses or resumes all workers.
pub(crate) async fn change_pause(
    store: &Arc<dyn ArchiveStore>,
    clock: &Clock,
    paused: bool,
    operator: &Operator,
) -> Result<PauseRecord, Failure> {
    let change = Change {
        what: if paused { "pause" } else { "resume" },
        count: 1,
        details: Value::Null,
    };
    let audit_log = AuditLog::new(Arc::clone(store), clock.clone());
    let recorded = audit_log.record(operator, change).await?;

    set_pause(&**store, paused, &recorded, clock.now()).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapters::directory::DirectoryStore;
    use crate::registers::pause_state;

    #[tokio::test]
    async fn a_pause_and_a_resume_take_effect_and_are_in_the_audit_log() {
        let directory = tempfile::tempdir().unwrap();
        let store: Arc<dyn ArchiveStore> =
            Arc::new(DirectoryStore::open(directory.path()).unwrap());
        let clock = Clock::system();
        let operator = Operator {
            who: "ada".to_owned(),
            why: Some("migration".to_owned()),
        };

        change_pause(&store, &clock, true, &operator).await.unwrap();
        let cause = pause_state(&*store).await.unwrap().cause();
        assert!(cause.unwrap().contains("paused by ada"));

        change_pause(&store, &clock, false, &operator)
            .await
            .unwrap();
        assert_eq!(pause_state(&*store).await.unwrap().cause(), None);

        let entries = AuditLog::new(store, clock).list(None, 10).await.unwrap();
        let what: Vec<_> = entries.iter().map(|entry| entry.what.as_str()).collect();
        assert_eq!(what, ["resume", "pause"]);
        assert!(entries.iter().all(|entry| entry.why == operator.why));
    }
}
