use super::*;
use crate::adapters::directory::DirectoryStore;
use crate::adapters::embedded::EmbeddedCheckpoints;
use crate::job::Request;
use crate::machine::samples::{access_removed, archived, empty_seal, finished};
use crate::machine::{Checkpoint, Pause, Sealing, State};
use crate::ports::{Claim, Lease};

struct Scene {
    store: Arc<dyn ArchiveStore>,
    checkpoints: EmbeddedCheckpoints,
    clock: Clock,
    _directory: tempfile::TempDir,
}

fn scene() -> Scene {
    let directory = tempfile::tempdir().unwrap();
    Scene {
        store: Arc::new(DirectoryStore::open(&directory.path().join("archive")).unwrap()),
        checkpoints: EmbeddedCheckpoints::open(directory.path(), Clock::system()).unwrap(),
        clock: Clock::system(),
        _directory: directory,
    }
}

fn user(number: u8) -> UserId {
    format!("{number:08x}-9a51-4b4b-8f6c-1f9a4f9b7c11")
        .parse()
        .unwrap()
}

impl Scene {
    fn minutes_ago(&self, minutes: i64) -> Timestamp {
        self.clock.now() - SignedDuration::from_mins(minutes)
    }

    fn sealed(&self) -> State {
        let at = self.minutes_ago(5);
        archived(
            at,
            Sealing::Sealed {
                seal: empty_seal(at),
            },
        )
    }

    async fn claim(&self, user_id: UserId) -> (Lease, u64) {
        let Claim::Granted { lease, version, .. } = self.checkpoints.claim(user_id).await.unwrap()
        else {
            panic!("nobody else has it");
        };
        (lease, version)
    }

    async fn save(&self, number: u8, change: impl FnOnce(&mut Checkpoint)) {
        let (lease, version) = self.claim(user(number)).await;
        let request = Request {
            requested_at: Some(self.minutes_ago(10)),
            ..Request::default()
        };
        let mut checkpoint = Checkpoint::new(user(number), request, self.minutes_ago(9));
        change(&mut checkpoint);
        self.checkpoints
            .save(&lease, version, &checkpoint)
            .await
            .unwrap();
        self.checkpoints.release(&lease).await.unwrap();
    }

    async fn cancel(&self, numbers: &[u8]) -> CancelReport {
        let cancelling = Cancelling {
            what: "cancel",
            store: &self.store,
            checkpoints: &self.checkpoints,
            users: &self.checkpoints,
            batches: None,
            clock: &self.clock,
        };
        let operator = Operator {
            who: "ada".to_owned(),
            why: Some("a wrong list".to_owned()),
        };
        let users = numbers.iter().map(|number| user(*number)).collect();
        let target = CancelTarget::Users(users);
        let cancelled = cancelling.cancel(&target, &operator).await;
        assert_eq!(cancelled.failure, None);
        cancelled.done
    }

    async fn read(&self, number: u8) -> Option<Checkpoint> {
        self.checkpoints.read(user(number)).await.unwrap()
    }
}

#[tokio::test]
async fn each_user_is_cancelled_or_named_with_the_reason() {
    let scene = scene();
    let at = scene.minutes_ago(5);
    scene.save(1, |_| {}).await;
    scene
        .save(2, |checkpoint| {
            checkpoint.state = State::Deactivated {
                access: access_removed(at),
            };
        })
        .await;
    scene
        .save(3, |checkpoint| checkpoint.state = finished(at))
        .await;
    let sealed = scene.sealed();
    let waits = sealed.clone();
    scene
        .save(4, |checkpoint| {
            checkpoint.state = waits;
            let until = scene.clock.now() + SignedDuration::from_hours(1);
            checkpoint.postpone(until, Pause::DeletionRateLimit, at);
        })
        .await;
    // A worker died after it had saved the intent.
    scene.save(5, |checkpoint| checkpoint.state = sealed).await;
    scene.save(7, |_| {}).await;
    // Submitted, and no worker took the user yet.
    scene.checkpoints.add_asked(&[user(8)], at).await.unwrap();

    let report = scene.cancel(&[1, 2, 3, 4, 5, 6, 8]).await;

    assert_eq!(
        (report.cancelled, report.not_begun, report.keep_access),
        (4, 2, 2)
    );
    assert_eq!(report.finished, [user(3)]);
    assert_eq!(report.not_known, [user(6)]);
    let too_late: Vec<UserId> = report.too_late.iter().map(|user| user.user_id).collect();
    assert_eq!(too_late, [user(5)]);
    assert_eq!(
        scene.read(6).await,
        None,
        "an ID that nobody knows gets no checkpoint"
    );
    let waits = scene.read(4).await.unwrap();
    assert_eq!((waits.pause, waits.waiting_until), (None, None));
    let cancelled = waits.cancelled.unwrap();
    assert!(cancelled.message_due.unwrap() > scene.clock.now());
    assert_eq!(
        (cancelled.who.as_str(), cancelled.why.as_deref()),
        ("ada", Some("a wrong list"))
    );
    let access = scene.checkpoints.with_access(None, 10).await.unwrap();
    assert!(
        access.users.iter().all(|asked| asked.user_id == user(7)),
        "{access:?}"
    );

    // Once more: the same answer, and the first operator stays.
    let again = scene.cancel(&[1, 2]).await;
    assert_eq!(again.cancelled, 2);
    assert_eq!(
        scene.read(1).await.unwrap().cancelled.unwrap().at,
        cancelled.at
    );
    let log = AuditLog::new(Arc::clone(&scene.store), scene.clock.clone());
    let entries = log.list(None, 10).await.unwrap();
    assert_eq!((entries[1].what.as_str(), entries[1].count), ("cancel", 7));
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_has_the_user_is_waited_for_and_longer_if_it_may_send_the_delete() {
    let scene = scene();
    scene.save(1, |_| {}).await;
    let sealed = scene.sealed();
    scene.save(2, |checkpoint| checkpoint.state = sealed).await;
    let _working = scene.claim(user(1)).await;
    let _deleting = scene.claim(user(2)).await;

    let begun = tokio::time::Instant::now();
    let report = scene.cancel(&[1, 2]).await;
    assert_eq!(report.stopping, [user(1)]);
    assert!(report.too_late[0].text.contains("may have sent the DELETE"));
    assert!(begun.elapsed().as_secs() >= 90);
    assert_eq!(scene.read(2).await.unwrap().cancelled, None);
}

#[tokio::test(start_paused = true)]
async fn a_deletion_that_ends_while_it_is_waited_for_is_too_late_and_no_user_who_was_finished_before()
 {
    let scene = scene();
    let sealed = scene.sealed();
    scene.save(1, |checkpoint| checkpoint.state = sealed).await;
    let (lease, version) = scene.claim(user(1)).await;
    let deleting = async {
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        let mut checkpoint = scene.read(1).await.unwrap();
        checkpoint.advance(finished(scene.clock.now()), Vec::new(), scene.clock.now());
        let saved = scene.checkpoints.save(&lease, version, &checkpoint).await;
        saved.unwrap();
        scene.checkpoints.release(&lease).await.unwrap();
    };

    let ended = tokio::join!(scene.cancel(&[1]), deleting);
    assert!(ended.0.finished.is_empty());
    assert!(
        ended.0.too_late[0].text.contains("too late"),
        "{:?}",
        ended.0
    );
}

#[tokio::test]
async fn an_order_by_a_clock_that_is_behind_covers_what_is_known_but_no_time_that_is_made_up() {
    let scene = scene();
    let ahead = scene.minutes_ago(-5);
    let made_up = scene.minutes_ago(-60);
    let asked = |at| Request {
        requested_at: Some(at),
        ..Request::default()
    };
    scene.save(1, |of| of.request = asked(ahead)).await;
    scene.save(2, |of| of.request = asked(made_up)).await;
    scene.cancel(&[1, 2]).await;

    let orders = StopRegister::default().fresh(&*scene.store).await.unwrap();
    let later = scene.minutes_ago(-120);
    let covers = |at| orders.cancelled(user(1), &asked(at), later).is_some();
    assert!(covers(ahead));
    assert!(!covers(scene.minutes_ago(-11)) && !covers(made_up));
}

#[test]
fn a_failure_after_the_first_order_says_how_many_users_are_cancelled() {
    let ordered = Ordered {
        members: vec![(user(1), None), (user(2), None)],
        cut_short: None,
    };
    let failure = Failure::new(
        Class::Transient,
        crate::failure::Code::ArchiveConflict,
        "no number",
    );
    let text = only_some(&ordered, 5, failure).text;
    assert!(text.contains("first 2 of 5 users") && text.ends_with("no number"));
}
