//! What odd answers of the tenant can do to users, from the first call to the manifest: the driver and all steps
//! against the simulator, with stores in a directory.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::{Outcome, drive};
use crate::adapters::cxone::{Alone, Client, Options as CxoneOptions};
use crate::adapters::directory::DirectoryStore;
use crate::adapters::embedded::EmbeddedCheckpoints;
use crate::config::Secret;
use crate::failure::{Code, Failure, Reason};
use crate::guards::{Guards, ProtectedSource};
use crate::job::{Action, Job, Lane, Request, UserId};
use crate::machine::{DeletePolicy, RetryPolicy, StateName};
use crate::manifest::Actor;
use crate::ports::{QuotaClass, Quotas, Reservation};
use crate::simulator::{self, Options, Record, Rule, Simulator};
use crate::steps::{Interrupt, Limits, Services};

/// Many times the deletion is due at once, and an hour is what none of the tests waits for.
const AN_HOUR: Duration = Duration::from_hours(1);

struct Bench {
    simulator: Simulator,
    services: Services,
    directory: tempfile::TempDir,
    action: Action,
}

impl Bench {
    async fn new(users: usize) -> Self {
        Self::with(Options { users, ..Options::default() }, Arc::new(Alone::default()), None).await
    }

    async fn with(options: Options, quotas: Arc<dyn Quotas>, rate_routing: Option<f64>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let simulator = simulator::start(&Options { conversations: 3, queues: 2, ..options }).await.unwrap();
        let base: url::Url = simulator.base_uri().parse().unwrap();
        let cxone = Client::new(CxoneOptions {
            token_uri: base.join("/api/v2/oauth/token").unwrap(),
            base_uri: base,
            client_id: "offboarder".to_owned(),
            client_secret: Secret::new("simulator-secret"),
            rate_routing,
            rate_scim: None,
            rate_analytics: None,
            quotas,
            page_size: 2,
            second_look: Duration::from_millis(1),
        });
        let services = Services {
            cxone: cxone.unwrap(),
            archive_store: Arc::new(DirectoryStore::open(&directory.path().join("archive")).unwrap()),
            checkpoints: Arc::new(EmbeddedCheckpoints::open(directory.path()).unwrap()),
            guards: Guards { delete_grace: Duration::ZERO, brake: None },
            protected: ProtectedSource::Nobody,
            delete: DeletePolicy::Attempt,
            retry: RetryPolicy {
                max_attempts: 8,
                base: Duration::from_millis(1),
                cap: Duration::from_secs(1),
            },
            history: Duration::from_hours(24 * 365),
            window_days: None,
            actor: Actor::new("a test"),
        };
        Self { simulator, services, directory, action: Action::Delete }
    }

    fn user(&self, number: usize) -> UserId {
        self.simulator.user_ids()[number].parse().unwrap()
    }

    /// Makes an operation fail; for one user, or for all.
    fn strike(&self, user: Option<usize>, operation: &str, skip: u64, times: Option<u64>, fault: &Value) {
        let user = user.map(|number| self.user(number).to_string());
        let rule = json!({
            "operation": operation, "user": user, "skip": skip, "times": times, "fault": fault,
        });
        self.simulator.add_fault(serde_json::from_value::<Rule>(rule).unwrap());
    }

    /// One visit.
    async fn visit(&self, number: usize) -> Result<Outcome, Interrupt> {
        let request = Request { action: self.action, ..Request::default() };
        let job = Job {
            user_id: self.user(number),
            request,
            lane: Lane::Whole,
            revision: None,
            stands_in_since: None,
            continuation: false,
        };
        let limits = Limits::new(&CancellationToken::new(), &CancellationToken::new(), None);
        Box::pin(drive(&self.services, &job, &limits)).await
    }

    /// Visits until there is nothing to wait for.
    async fn off_board(&self, number: usize) -> Result<Outcome, Interrupt> {
        for _ in 0..20 {
            match self.visit(number).await {
                Ok(Outcome::Wait { .. }) => {}
                ended => return ended,
            }
        }
        panic!("it waits for ever");
    }

    fn count(&self, operation: &str) -> usize {
        self.simulator.ledger().iter().filter(|entry| entry.operation == operation).count()
    }

    fn stored(&self, number: usize, end: &str) -> PathBuf {
        self.directory.path().join("archive").join(format!("{}{end}", self.user(number)))
    }

    fn manifest(&self, number: usize) -> Value {
        serde_json::from_slice(&std::fs::read(self.stored(number, "_audit.json")).unwrap()).unwrap()
    }

    /// Whoever is finished is as the manifest says, and the manifest proves it.
    async fn assert_verified(&self, number: usize) {
        use crate::verify::{Schema, Verifier, Witness, holdings};
        let (store, user_id) = (Arc::clone(&self.services.archive_store), self.user(number));
        let held = holdings(&*store, Some(user_id)).await.unwrap().remove(&user_id).unwrap();
        let verifier = Verifier { store, schema: Schema::new(), downloaded: false };
        let verdict = verifier.check(user_id, &held, &Witness::default()).await.unwrap();
        assert!(verdict.ok, "{verdict:?}");
    }
}

#[track_caller]
fn state(ended: &Result<Outcome, Interrupt>) -> StateName {
    match ended {
        Ok(Outcome::Finished(ended)) => ended.state,
        other => panic!("not finished: {other:?}"),
    }
}

#[track_caller]
fn letter(ended: Result<Outcome, Interrupt>) -> (Reason, Code, StateName, String) {
    match ended {
        Ok(Outcome::DeadLetter { reason, failure, state, .. }) => (reason, failure.code, state, failure.text),
        other => panic!("no dead letter: {other:?}"),
    }
}

#[track_caller]
fn everybodys(ended: Result<Outcome, Interrupt>) -> Failure {
    match ended {
        Err(Interrupt::Systemic(failure)) => failure,
        other => panic!("not everybody's: {other:?}"),
    }
}

fn html(status: u16) -> Value {
    json!({ "kind": "status", "status": status, "contentType": "text/html", "body": "<HTML>Access Denied</HTML>",
        "headers": { "Server": "AkamaiGHost" } })
}

fn own(status: u16, code: &str) -> Value {
    json!({ "kind": "status", "status": status, "code": code })
}

#[tokio::test]
async fn a_firewalls_page_is_everybodys_fault_and_nobodys_dead_letter() {
    for status in [403, 404] {
        let bench = Bench::new(25).await;
        for operation in ["get_user", "get_routing_profile", "get_scim_user", "put_scim_user"] {
            bench.strike(None, operation, 0, Some(200), &html(status));
        }
        for number in 0..25 {
            let failure = everybodys(bench.visit(number).await);
            assert_eq!(failure.code, Code::CxoneForeignAnswer);
            assert!(failure.text.contains("AkamaiGHost"), "{failure}");
        }
        assert_eq!(
            bench.services.probe(Code::CxoneForeignAnswer).await.unwrap_err().code,
            Code::CxoneForeignAnswer
        );
    }
}

#[tokio::test]
async fn a_firewalls_page_for_one_user_passes_or_uses_attempts_up_and_is_never_a_refusal() {
    let bench = Bench::new(2).await;
    for operation in ["get_user", "get_routing_profile", "get_scim_user", "put_scim_user", "delete_user"] {
        bench.strike(Some(0), operation, 0, Some(1), &html(403));
    }
    assert_eq!(state(&bench.off_board(0).await), StateName::Deleted);
    assert_eq!(bench.manifest(0)["deletion"]["outcome"], "deleted");
    bench.strike(Some(1), "delete_user", 0, None, &html(403));
    let (reason, code, state, _) = letter(bench.off_board(1).await);
    assert_eq!(
        (reason, code, state),
        (Reason::RetriesExhausted, Code::CxoneForeignAnswer, StateName::Archived)
    );
}

#[tokio::test]
async fn a_write_that_is_refused_to_one_after_the_other_is_everybodys_and_reads_are_not_counted() {
    let bench = Bench::new(20).await;
    bench.strike(None, "put_scim_user", 0, Some(8), &own(400, "mutability"));
    for number in 0..4 {
        let (reason, code, state, text) = letter(bench.visit(number).await);
        assert_eq!(
            (reason, code, state),
            (Reason::ApiRejected, Code::CxoneRejected, StateName::QueuesCleared)
        );
        assert!(text.contains("400 mutability"), "{text}");
    }
    for number in 4..8 {
        let failure = everybodys(bench.visit(number).await);
        assert_eq!(failure.code, Code::CxoneRejected);
        assert!(failure.text.contains("5 users met this") || number > 4, "{failure}");
        assert!(!bench.services.probe(failure.code).await.unwrap(), "no probe shows that it is over");
    }
    for number in 4..8 {
        assert_eq!(state(&bench.off_board(number).await), StateName::Deleted);
    }
    // A probe shows whether a read is refused to everybody.
    for number in 8..18 {
        bench.strike(
            Some(number),
            "get_routing_profile",
            0,
            None,
            &json!({ "kind": "status", "status": 400 }),
        );
        assert_eq!(letter(bench.visit(number).await).0, Reason::ApiRejected);
    }
    bench.strike(None, "get_routing_profile", 0, None, &own(403, "forbidden"));
    for number in 18..20 {
        assert_eq!(everybodys(bench.visit(number).await).code, Code::CxoneRejected);
    }
}

#[tokio::test]
async fn one_404_is_neither_gone_nor_cleared_nor_not_found() {
    let bench = Bench::new(1).await;
    for (operation, skip) in [
        ("get_user", 0),
        // The first read of the deletion.
        ("get_user", 1),
        ("get_routing_profile", 0),
        ("get_queue", 0),
        ("get_scim_user", 0),
        ("patch_queue", 0),
        ("patch_routing_profile", 0),
        ("put_scim_user", 0),
        ("delete_user", 0),
    ] {
        bench.strike(
            Some(0).filter(|_| !operation.contains("queue")),
            operation,
            skip,
            Some(1),
            &own(404, "not_found"),
        );
    }
    assert_eq!(state(&bench.off_board(0).await), StateName::Deleted);
    let manifest = bench.manifest(0);
    assert_eq!(
        (&manifest["deletion"]["outcome"], &manifest["deletion"]["status"]),
        (&json!("deleted"), &json!(204))
    );
    assert_eq!(
        (&manifest["queueAssignmentsCleared"], &manifest["scimActive"]),
        (&json!(true), &json!(false))
    );
    assert_eq!(bench.count("delete_user"), 2);
    bench.assert_verified(0).await;
}

#[tokio::test]
async fn scim_that_misses_a_user_whom_the_iam_api_knows_is_a_dead_letter_and_no_removal() {
    for fault in [own(404, "not_found"), json!({ "kind": "status", "status": 404 }), html(404)] {
        let mut bench = Bench::new(1).await;
        bench.action = Action::Deactivate;
        bench.strike(Some(0), "get_scim_user", 0, None, &fault);
        let (reason, code, state, text) = letter(bench.off_board(0).await);
        let expected = (Reason::ApiRejected, Code::CxoneContradiction, StateName::QueuesCleared);
        assert_eq!((reason, code, state), expected, "{fault}");
        assert!(text.contains("SCIM is enabled"), "{text}");
        assert!(!bench.stored(0, "_audit.json").exists());
    }
    // Of a tenant without SCIM no page, and of a wrong path an answer that is not SCIM's, for nobody either.
    let bench = Bench::new(10).await;
    bench.strike(None, "get_scim_user", 0, Some(40), &html(404));
    for number in 0..10 {
        assert_eq!(everybodys(bench.visit(number).await).code, Code::CxoneContradiction);
    }
    let bench = Bench::new(8).await;
    bench.strike(None, "get_scim_user", 0, None, &own(404, "not_found"));
    for number in 0..4 {
        assert_eq!(letter(bench.visit(number).await).0, Reason::ApiRejected);
    }
    for number in 4..8 {
        assert_eq!(everybodys(bench.visit(number).await).code, Code::CxoneContradiction);
    }
}

#[tokio::test]
async fn an_account_is_already_gone_when_both_apis_say_so_and_not_by_one() {
    let mut bench = Bench::new(2).await;
    bench.services.guards.delete_grace = AN_HOUR;
    for number in [0, 1] {
        assert!(matches!(bench.visit(number).await, Ok(Outcome::Wait { .. })));
    }
    let permit = bench.services.cxone.deletion_permit().await.unwrap();
    bench.services.cxone.delete_user(bench.user(0), &permit).await.unwrap();
    bench.strike(Some(1), "get_user", 0, None, &own(404, "not_found"));
    bench.services.guards.delete_grace = Duration::ZERO;
    assert_eq!(state(&bench.off_board(0).await), StateName::Deleted);
    let deletion = bench.manifest(0)["deletion"].clone();
    assert_eq!((&deletion["outcome"], &deletion["status"]), (&json!("already_gone"), &Value::Null));
    bench.assert_verified(0).await;

    let (reason, code, state, _) = letter(bench.off_board(1).await);
    assert_eq!((reason, code, state), (Reason::ApiRejected, Code::CxoneContradiction, StateName::Archived));
    assert_eq!(bench.count("delete_user"), 1);
}

#[tokio::test]
async fn a_user_whose_queues_nobody_can_name_loses_access_and_is_not_deleted() {
    let bench = Bench::new(1).await;
    bench.strike(Some(0), "get_routing_profile", 0, None, &own(404, "not_found"));
    assert_eq!(state(&bench.off_board(0).await), StateName::DeactivatedOnly);
    let manifest = bench.manifest(0);
    assert_eq!(
        (&manifest["queueAssignmentsCleared"], &manifest["scimActive"]),
        (&json!(false), &json!(false))
    );
    assert_eq!(manifest["residual"][0]["kind"], "routing_profile");
    assert_eq!((&manifest["deletion"]["outcome"], bench.count("delete_user")), (&json!("held"), 0));
}

#[tokio::test]
async fn weak_etags_and_none_and_an_active_that_is_shown_only_while_true_are_no_obstacle() {
    for (weak_etags, no_etags) in [(true, false), (false, true)] {
        let options = Options { users: 0, weak_etags, no_etags, ..Options::default() };
        let mut bench = Bench::with(options, Arc::new(Alone::default()), None).await;
        bench.action = Action::Deactivate;
        let record = json!({ "id": "3f1f0d4e-9a51-4b4b-8f6c-1f9a4f9b7c11", "activeOnlyWhileTrue": true });
        bench.simulator.put_user(serde_json::from_value::<Record>(record).unwrap());
        assert_eq!(state(&bench.off_board(0).await), StateName::DeactivatedOnly);
        let (manifest, puts) = (bench.manifest(0), bench.count("put_scim_user"));
        assert_eq!((&manifest["scimActive"], puts), (&Value::Null, if weak_etags { 2 } else { 1 }));
        bench.assert_verified(0).await;
        // Nor does such a user count as one who came back.
        assert_eq!(state(&bench.off_board(0).await), StateName::DeactivatedOnly);
        assert_eq!(bench.count("put_scim_user"), puts);
    }
}

#[tokio::test]
async fn a_write_that_is_refused_as_changed_though_nothing_did_says_so() {
    let bench = Bench::new(1).await;
    bench.strike(Some(0), "put_scim_user", 0, Some(5), &own(412, "precondition_failed"));
    let Ok(Outcome::Wait { why, code, .. }) = bench.visit(0).await else {
        panic!("no failure that may pass")
    };
    assert_eq!(code, Some(Code::CxoneVersionConflict));
    assert!(why.contains("reads the same before and after"), "{why}");
    assert_eq!(state(&bench.off_board(0).await), StateName::Deleted);
}

#[tokio::test]
async fn a_next_page_elsewhere_is_everybodys_and_shows_where() {
    let bench = Bench::new(2).await;
    let port = bench.simulator.base_uri().rsplit(':').next().unwrap().to_owned();
    let uri = format!("https://127.0.0.1:{port}/api/v2/conversations/details/query?cursor=secret");
    bench.strike(None, "query_conversations", 0, Some(2), &json!({ "kind": "next_page", "uri": uri }));
    for number in [0, 1] {
        let failure = everybodys(bench.visit(number).await);
        assert!(failure.text.contains(&format!("https://127.0.0.1:{port},")), "{failure}");
        assert!(!failure.text.contains("secret"), "{failure}");
        assert!(!bench.services.probe(failure.code).await.unwrap(), "a probe has no second page");
    }
    for number in [0, 1] {
        assert_eq!(
            state(&bench.off_board(number).await),
            StateName::Deleted,
            "nobody's attempt, nobody's end"
        );
    }
}

/// Shared with a person who puts the user on hold while a call waits for its place.
#[derive(Default)]
struct Meddling {
    calls: AtomicU32,
    /// At which call, and where.
    hold: std::sync::Mutex<Option<(u32, PathBuf)>>,
}

impl Meddling {
    fn arm(&self, calls: u32, hold: PathBuf) {
        self.calls.store(0, Ordering::SeqCst);
        *self.hold.lock().unwrap() = Some((calls, hold));
    }
}

#[async_trait]
impl Quotas for Meddling {
    async fn reserve(&self, _: QuotaClass, _: Duration, _: u32) -> Result<Reservation, Failure> {
        let call = self.calls.fetch_add(1, Ordering::SeqCst) + 1;
        let hold = self.hold.lock().unwrap().take_if(|(at, _)| *at == call);
        if let Some((_, path)) = hold {
            let act = json!({ "held": true, "who": "legal", "at": "2026-11-28T00:00:00Z" });
            std::fs::write(path, act.to_string()).unwrap();
        }
        Ok(Reservation { starts_in: Duration::from_millis(5), workers: 1 })
    }

    async fn cool_down(&self, _: QuotaClass, _: Duration) -> Result<(), Failure> {
        Ok(())
    }
}

#[tokio::test]
async fn a_hold_that_comes_while_the_delete_waits_for_its_quota_or_for_a_new_token_holds() {
    for revoked in [false, true] {
        let quotas = Arc::new(Meddling::default());
        let options = Options { users: 1, ..Options::default() };
        let shared = Arc::clone(&quotas) as Arc<dyn Quotas>;
        let mut bench = Bench::with(options, shared, Some(1000.0)).await;
        bench.services.guards.delete_grace = AN_HOUR;
        assert!(matches!(bench.visit(0).await, Ok(Outcome::Wait { .. })));
        bench.services.guards.delete_grace = Duration::ZERO;
        if revoked {
            bench.strike(Some(0), "delete_user", 0, Some(1), &json!({ "kind": "revoke_token" }));
        }
        let hold = bench.directory.path().join("archive").join(format!("_hold_{}.1.json", bench.user(0)));
        // The read of the user, the place of the DELETE, and that of the second try.
        quotas.arm(if revoked { 3 } else { 2 }, hold);
        assert_eq!(state(&bench.off_board(0).await), StateName::DeactivatedOnly);
        assert_eq!(bench.manifest(0)["deletion"]["outcome"], "held");
        let deletes = bench.simulator.ledger().into_iter().filter(|entry| entry.operation == "delete_user");
        let statuses: Vec<u16> = deletes.map(|entry| entry.status).collect();
        assert_eq!(statuses, if revoked { vec![401] } else { vec![] });
    }
}

#[tokio::test]
async fn a_look_at_the_guards_that_takes_longer_than_a_second_is_repeated_and_not_for_ever() {
    let mut bench = Bench::new(3).await;
    let list = bench.directory.path().join("protected.txt");
    std::fs::write(&list, "*@nobody.example\n").unwrap();
    // Each look reads the user's name, so that the reads count the looks.
    bench.services.protected = ProtectedSource::File(list);
    assert_eq!(state(&bench.off_board(0).await), StateName::Deleted);
    let reads = bench.count("get_scim_user");
    let (last, slow) = (reads as u64 - 1, json!({ "kind": "latency", "ms": 1_050 }));
    bench.strike(Some(1), "get_scim_user", last, Some(1), &slow);
    assert_eq!(state(&bench.off_board(1).await), StateName::Deleted);
    let once_more = bench.count("get_scim_user") - reads;
    assert!(once_more > reads, "{once_more} reads, and {reads} with a quick look");
    bench.strike(Some(2), "get_scim_user", last, None, &slow);
    assert_eq!(state(&bench.off_board(2).await), StateName::Deleted);
    assert_eq!(bench.count("get_scim_user") - once_more - reads, reads + 2, "three looks at most");
}
