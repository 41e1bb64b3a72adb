//! Pausing and resuming all workers.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::clock::Clock;
use crate::failure::Failure;
use crate::ports::ArchiveStore;
use crate::registers::audit_log::{AuditLog, Change, Operator};
use crate::registers::{
    PauseRecord, PauseState, StopAct, give_order, let_on, odd_orders, pause_state, set_pause,
};

/// How to pause.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct PauseOrder {
    /// The pause ends by itself after this.
    pub lasts: Option<Duration>,
    /// Takes the place of a pause that is in force; without it, that one stays as it is.
    pub replace: bool,
}

/// What a pause or a resume did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PauseChange {
    Paused(PauseRecord),
    /// Nothing was changed: this pause is in force, with its own operator, reason and end.
    AlreadyPaused(PauseRecord),
    Resumed(PauseRecord),
    /// Nothing was changed: no pause was in force. The last record, if there is one.
    NotPaused(Option<PauseRecord>),
}

/// Records the change in the audit log, then pauses all workers. A pause that is in force keeps who and why: the first
/// operator had a reason that the second one may not know.
pub(crate) async fn pause(
    store: &Arc<dyn ArchiveStore>,
    clock: &Clock,
    operator: &Operator,
    order: PauseOrder,
) -> Result<PauseChange, Failure> {
    let now = clock.now();
    if !order.replace
        && let PauseState::Record(record) = pause_state(&**store).await?
        && record.holds_at(now)
    {
        return Ok(PauseChange::AlreadyPaused(record));
    }

    let until = order.lasts.map(|lasts| after(now, lasts));
    let changed = change(store, clock, operator, true, until).await?;
    Ok(PauseChange::Paused(changed))
}

/// Records the change in the audit log, then resumes all workers.
pub(crate) async fn resume(
    store: &Arc<dyn ArchiveStore>,
    clock: &Clock,
    operator: &Operator,
) -> Result<PauseChange, Failure> {
    let now = clock.now();
    let odd = odd_orders(&**store).await?;
    if !odd.is_empty() {
        pass_over(store, clock, operator, odd).await?;
        let changed = change(store, clock, operator, false, None).await?;
        return Ok(PauseChange::Resumed(changed));
    }
    match pause_state(&**store).await? {
        PauseState::Never => return Ok(PauseChange::NotPaused(None)),
        PauseState::Record(record) if !record.holds_at(now) => {
            return Ok(PauseChange::NotPaused(Some(record)));
        }
        // Workers pause while the record is in doubt, too.
        PauseState::Record(_) | PauseState::Doubtful(_) => {}
    }

    let changed = change(store, clock, operator, false, None).await?;
    Ok(PauseChange::Resumed(changed))
}

/// Records it in the audit log, then lets the users on whom no order names and whom workers received until now.
/// `waiting`: how many they are, as far as is known.
pub(crate) async fn let_waiting_on(
    store: &Arc<dyn ArchiveStore>,
    clock: &Clock,
    operator: &Operator,
    waiting: Option<u64>,
) -> Result<(), Failure> {
    let change = Change {
        what: "resume --intake",
        count: waiting.map_or(0, |waiting| usize::try_from(waiting).unwrap_or(usize::MAX)),
        details: json!({ "waiting": waiting }),
    };
    let audit_log = AuditLog::new(Arc::clone(store), clock.clone());
    let recorded = audit_log.record(operator, change).await?;
    let_on(&**store, &recorded, clock.now()).await
}

/// From now on, these objects no longer keep all users waiting.
async fn pass_over(
    store: &Arc<dyn ArchiveStore>,
    clock: &Clock,
    operator: &Operator,
    objects: Vec<String>,
) -> Result<(), Failure> {
    let change = Change {
        what: "resume",
        count: objects.len(),
        details: json!({ "passesOver": objects }),
    };
    let audit_log = AuditLog::new(Arc::clone(store), clock.clone());
    let recorded = audit_log.record(operator, change).await?;
    let act = StopAct::PassOver { objects };
    give_order(&**store, act, &recorded, clock.now()).await
}

async fn change(
    store: &Arc<dyn ArchiveStore>,
    clock: &Clock,
    operator: &Operator,
    paused: bool,
    until: Option<Timestamp>,
) -> Result<PauseRecord, Failure> {
    let change = Change {
        what: if paused { "pause" } else { "resume" },
        count: 1,
        details: until.map_or(Value::Null, |until| json!({ "until": until })),
    };
    let audit_log = AuditLog::new(Arc::clone(store), clock.clone());
    let recorded = audit_log.record(operator, change).await?;

    set_pause(&**store, paused, until, &recorded, clock.now()).await
}

pub(super) fn after(now: Timestamp, lasts: Duration) -> Timestamp {
    let lasts = SignedDuration::try_from(lasts).unwrap_or(SignedDuration::MAX);
    now.checked_add(lasts).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapters::directory::DirectoryStore;

    fn by(who: &str, why: &str) -> Operator {
        Operator {
            who: who.to_owned(),
            why: Some(why.to_owned()),
        }
    }

    struct Scene {
        store: Arc<dyn ArchiveStore>,
        clock: Clock,
        directory: tempfile::TempDir,
    }

    fn scene() -> Scene {
        let directory = tempfile::tempdir().unwrap();
        Scene {
            store: Arc::new(DirectoryStore::open(directory.path()).unwrap()),
            clock: Clock::starting_at(Timestamp::from_second(1_000).unwrap()),
            directory,
        }
    }

    impl Scene {
        async fn pause(&self, operator: &Operator, order: PauseOrder) -> PauseChange {
            pause(&self.store, &self.clock, operator, order)
                .await
                .unwrap()
        }

        async fn resume(&self) -> PauseChange {
            resume(&self.store, &self.clock, &by("bob", "done"))
                .await
                .unwrap()
        }

        async fn cause(&self) -> Option<String> {
            let state = pause_state(&*self.store).await.unwrap();
            state.cause(self.clock.now())
        }

        async fn log(&self) -> Vec<String> {
            let audit_log = AuditLog::new(Arc::clone(&self.store), self.clock.clone());
            let entries = audit_log.list(None, 10).await.unwrap();
            entries.into_iter().map(|entry| entry.what).collect()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_and_a_resume_take_effect_and_are_in_the_audit_log() {
        let scene = scene();
        scene
            .pause(&by("ada", "migration"), PauseOrder::default())
            .await;
        let cause = scene.cause().await.unwrap();
        assert!(cause.contains("paused by ada") && cause.contains("migration"));

        assert!(matches!(scene.resume().await, PauseChange::Resumed(_)));
        assert_eq!(scene.cause().await, None);
        let mut log = scene.log().await;
        log.sort();
        assert_eq!(log, ["pause", "resume"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_resume_that_would_leave_all_stopped_names_the_object_to_delete() {
        let scene = scene();
        let forged = scene.directory.path().join("_stop_order.9999999.json");
        std::fs::write(&forged, "{}").unwrap();
        let by = by("bob", "done");
        let refused = resume(&scene.store, &scene.clock, &by).await.unwrap_err();
        assert_eq!(refused.code, crate::failure::Code::ArchiveConflict);
        assert!(refused.text.contains("_stop_order.9999999.json"));
        assert!(refused.text.contains("delete this object"));
        assert!(scene.log().await.is_empty(), "nothing was changed");

        std::fs::remove_file(forged).unwrap();
        assert_eq!(scene.resume().await, PauseChange::NotPaused(None));
    }

    #[tokio::test(start_paused = true)]
    async fn a_second_pause_keeps_the_first_operator_unless_it_replaces() {
        let scene = scene();
        let ada = by("ada", "migration");
        scene.pause(&ada, PauseOrder::default()).await;

        let PauseChange::AlreadyPaused(kept) = scene
            .pause(&by("bob", "other"), PauseOrder::default())
            .await
        else {
            panic!("it was paused");
        };
        assert_eq!((kept.who.as_str(), &kept.why), ("ada", &ada.why));
        assert!(scene.cause().await.unwrap().contains("ada"));
        assert_eq!(scene.log().await.len(), 1, "nothing was changed");

        let order = PauseOrder {
            replace: true,
            ..PauseOrder::default()
        };
        scene.pause(&by("bob", "other"), order).await;
        assert!(scene.cause().await.unwrap().contains("bob"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_resume_of_nothing_says_so_and_a_pause_with_an_end_lifts_itself() {
        let scene = scene();
        assert_eq!(scene.resume().await, PauseChange::NotPaused(None));

        let order = PauseOrder {
            lasts: Some(Duration::from_mins(2)),
            replace: false,
        };
        scene.pause(&by("ada", "window"), order).await;
        tokio::time::advance(Duration::from_secs(119)).await;
        assert!(scene.cause().await.is_some());
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(scene.cause().await, None);

        let PauseChange::NotPaused(Some(last)) = scene.resume().await else {
            panic!("it had ended");
        };
        assert_eq!(last.who, "ada");
        assert_eq!(scene.log().await, ["pause"], "nothing was resumed");
    }
}
