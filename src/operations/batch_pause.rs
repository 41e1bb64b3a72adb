//! Pausing and resuming one batch, while others continue.

use std::sync::Arc;

use serde_json::json;

use super::pause::{PauseOrder, after};
use crate::clock::Clock;
use crate::failure::Failure;
use crate::job::BatchId;
use crate::ports::ArchiveStore;
use crate::registers::audit_log::{AuditLog, Change, Operator};
use crate::registers::{BatchPause, StopAct, StopRegister, give_order};

/// What a pause or a resume of a batch did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum BatchPauseChange {
    Paused(BatchPause),
    /// Nothing was changed: this pause is in force, with its own operator, reason and end.
    AlreadyPaused(BatchPause),
    /// This pause is lifted.
    Resumed(BatchPause),
    /// Nothing was changed: the batch was not paused.
    NotPaused,
}

/// Records the change in the audit log, then pauses the batch: its users are not taken further than their next
/// checkpoint, and not deleted. A pause that is in force keeps who and why, unless the order replaces it.
pub(crate) async fn pause_batch(
    store: &Arc<dyn ArchiveStore>,
    clock: &Clock,
    operator: &Operator,
    batch: &BatchId,
    order: PauseOrder,
) -> Result<BatchPauseChange, Failure> {
    let now = clock.now();
    let orders = StopRegister::default().fresh(&**store).await?;
    if !order.replace
        && let Some(pause) = orders.paused(batch, now)
    {
        return Ok(BatchPauseChange::AlreadyPaused(pause.clone()));
    }

    let until = order.lasts.map(|lasts| after(now, lasts));
    let change = Change {
        what: "batch pause",
        count: 1,
        details: json!({ "batch": batch, "until": until }),
    };
    let recorded = AuditLog::new(Arc::clone(store), clock.clone())
        .record(operator, change)
        .await?;
    let act = StopAct::PauseBatch {
        batch: batch.clone(),
        until,
    };
    give_order(&**store, act, &recorded, now).await?;

    Ok(BatchPauseChange::Paused(BatchPause {
        who: operator.who.clone(),
        why: operator.why.clone(),
        at: now,
        until,
    }))
}

/// Records the change in the audit log, then resumes the batch.
pub(crate) async fn resume_batch(
    store: &Arc<dyn ArchiveStore>,
    clock: &Clock,
    operator: &Operator,
    batch: &BatchId,
) -> Result<BatchPauseChange, Failure> {
    let now = clock.now();
    let orders = StopRegister::default().fresh(&**store).await?;
    let Some(pause) = orders.paused(batch, now).cloned() else {
        return Ok(BatchPauseChange::NotPaused);
    };

    let change = Change {
        what: "batch resume",
        count: 1,
        details: json!({ "batch": batch }),
    };
    let recorded = AuditLog::new(Arc::clone(store), clock.clone())
        .record(operator, change)
        .await?;
    let act = StopAct::ResumeBatch {
        batch: batch.clone(),
    };
    give_order(&**store, act, &recorded, now).await?;
    Ok(BatchPauseChange::Resumed(pause))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use jiff::Timestamp;

    use super::*;
    use crate::adapters::directory::DirectoryStore;

    fn by(who: &str) -> Operator {
        Operator {
            who: who.to_owned(),
            why: Some("a wrong list".to_owned()),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_batch_is_paused_by_its_first_operator_until_somebody_resumes_it() {
        let directory = tempfile::tempdir().unwrap();
        let store: Arc<dyn ArchiveStore> =
            Arc::new(DirectoryStore::open(directory.path()).unwrap());
        let clock = Clock::starting_at(Timestamp::from_second(1_000).unwrap());
        let batch: BatchId = "b".parse().unwrap();
        let pause = async |who: &str, order| {
            let pausing = pause_batch(&store, &clock, &by(who), &batch, order).await;
            pausing.unwrap()
        };

        let resumed = resume_batch(&store, &clock, &by("bob"), &batch)
            .await
            .unwrap();
        assert_eq!(resumed, BatchPauseChange::NotPaused);
        pause("ada", PauseOrder::default()).await;
        let BatchPauseChange::AlreadyPaused(kept) = pause("bob", PauseOrder::default()).await
        else {
            panic!("it was paused");
        };
        assert_eq!(kept.who, "ada");
        let order = PauseOrder {
            lasts: Some(Duration::from_mins(2)),
            replace: true,
        };
        let BatchPauseChange::Paused(replaced) = pause("bob", order).await else {
            panic!("it was replaced");
        };
        assert_eq!(
            (replaced.who.as_str(), replaced.until.is_some()),
            ("bob", true)
        );

        let resumed = resume_batch(&store, &clock, &by("ada"), &batch)
            .await
            .unwrap();
        assert_eq!(resumed, BatchPauseChange::Resumed(replaced));
        let log = AuditLog::new(Arc::clone(&store), clock.clone());
        let mut what: Vec<_> = log
            .list(None, 10)
            .await
            .unwrap()
            .into_iter()
            .map(|entry| entry.what)
            .collect();
        what.sort();
        assert_eq!(what, ["batch pause", "batch pause", "batch resume"]);
    }
}
