//! What odd answers of the tenant can do to users, from the first call to the manifest: the driver and all steps
//! against the simulator, with stores in a directory.

mod answers;
mod approvals;
mod deletion;
mod meddling;
mod orders;
mod reactivating;
mod requests;
mod stopping;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::{Outcome, drive};
use crate::adapters::directory::DirectoryStore;
use crate::adapters::embedded::EmbeddedCheckpoints;
use crate::adapters::http::{ApiOptions, Grant, LocalQuotas};
use crate::adapters::tutorial::Client;
use crate::archive::ArchiveMemory;
use crate::clock::Clock;
use crate::failure::{Code, Failure, Reason};
use crate::guards::Guards;
use crate::job::{Action, Job, Lane, Request, UserId};
use crate::limits::DeletePolicy;
use crate::machine::{RetryPolicy, StateName};
use crate::manifest::Actor;
use crate::ports::{Checkpoints, Quotas};
use crate::progress::Progress;
use crate::registers::{ProtectedSource, SharedRead, StopRegister};
use crate::secret::Secret;
use crate::simulator::{self, Options, Rule, Simulator};
use crate::steps::{ApprovalGuard, Cancellation, Interrupt, Services};

struct Bench {
    simulator: Simulator,
    services: Services,
    directory: tempfile::TempDir,
    action: Action,
    users: Arc<EmbeddedCheckpoints>,
}

impl Bench {
    async fn new(users: usize) -> Self {
        Self::with(
            Options {
                users,
                queues: 2,
                ..Options::default()
            },
            Arc::new(LocalQuotas::default()),
            None,
        )
        .await
    }

    async fn with(options: Options, quotas: Arc<dyn Quotas>, rate_routing: Option<f64>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let simulator = simulator::start(&Options {
            conversations: 3,
            ..options
        })
        .await
        .unwrap();
        let base: url::Url = simulator.base_uri().parse().unwrap();
        let tenant = Client::new(ApiOptions {
            token_uri: base.join("/api/v2/oauth/token").unwrap(),
            base_uri: base,
            ca: None,
            client_id: "offboarder".to_owned(),
            client_secret: Secret::new("simulator-secret"),
            grant: Grant::ClientCredentials,
            rate_routing,
            rate_scim: None,
            rate_analytics: None,
            quotas,
            page_size: 2,
            second_read_after: Duration::from_millis(1),
            clock: Clock::system(),
            progress: Progress::default(),
        });
        let users = EmbeddedCheckpoints::open(directory.path(), Clock::system()).unwrap();
        let users = Arc::new(users);
        let services = Services {
            clock: Clock::system(),
            progress: Progress::default(),
            tenant: Arc::new(tenant.unwrap()),
            archive_store: Arc::new(
                DirectoryStore::open(&directory.path().join("archive")).unwrap(),
            ),
            checkpoints: Arc::clone(&users) as Arc<dyn Checkpoints>,
            guards: Guards {
                delete_grace: Duration::ZERO,
                deletion_rate_limit: None,
            },
            requests: None,
            approval: Arc::new(ApprovalGuard::off()),
            protected: ProtectedSource::nobody(),
            orders: crate::registers::Orders::default(),
            stop_orders: Arc::new(StopRegister::default()),
            pause: SharedRead::default(),
            access_first: false,
            delete: DeletePolicy::Attempt,
            retry: RetryPolicy {
                max_attempts: 8,
                base: Duration::from_millis(1),
                cap: Duration::from_secs(1),
            },
            surges: None,
            memory: ArchiveMemory::new(1024 * 1024 * 1024),
            history: Duration::from_hours(24 * 365),
            settle: Duration::ZERO,
            window_days: None,
            actor: Actor::new("a test"),
        };
        Self {
            simulator,
            services,
            directory,
            action: Action::Delete,
            users,
        }
    }

    fn user(&self, number: usize) -> UserId {
        self.simulator.user_ids()[number].parse().unwrap()
    }

    /// Makes an operation fail; for one user, or for all.
    fn strike(
        &self,
        user: Option<usize>,
        operation: &str,
        skip: u64,
        times: Option<u64>,
        fault: &Value,
    ) {
        let user = user.map(|number| self.user(number).to_string());
        let rule = json!({
            "operation": operation, "user": user, "skip": skip, "times": times, "fault": fault,
        });
        self.simulator
            .add_fault(serde_json::from_value::<Rule>(rule).unwrap());
    }

    async fn run(&self, number: usize) -> Outcome {
        let request = Request {
            action: self.action,
            ..Request::default()
        };
        self.ask(number, request).await
    }

    async fn ask(&self, number: usize, request: Request) -> Outcome {
        self.ask_until(number, request, &CancellationToken::new())
            .await
    }

    /// Stops at the next checkpoint once the token is cancelled.
    async fn ask_until(
        &self,
        number: usize,
        request: Request,
        draining: &CancellationToken,
    ) -> Outcome {
        let job = Job {
            user_id: self.user(number),
            request,
            lane: Lane::Whole,
            revision: None,
            stands_in_since: None,
            continuation: false,
            admitted: false,
        };
        let limits = Cancellation::new(draining, &CancellationToken::new(), None);
        Box::pin(drive(&self.services, &job, &limits)).await
    }

    /// Runs until there is nothing to wait for.
    async fn off_board(&self, number: usize) -> Outcome {
        for _ in 0..20 {
            match self.run(number).await {
                Outcome::Delay { .. } => {}
                ended => return ended,
            }
        }
        panic!("it waits for ever");
    }

    fn count(&self, operation: &str) -> usize {
        self.simulator
            .ledger()
            .iter()
            .filter(|entry| entry.operation == operation)
            .count()
    }

    fn stored(&self, number: usize, end: &str) -> PathBuf {
        self.directory
            .path()
            .join("archive")
            .join(format!("{}{end}", self.user(number)))
    }

    fn manifest(&self, number: usize) -> Value {
        serde_json::from_slice(&std::fs::read(self.stored(number, "_audit.json")).unwrap()).unwrap()
    }

    /// A user who is finished is as the manifest says, and the manifest proves it.
    async fn assert_verified(&self, number: usize) {
        use crate::operations::verify::{CheckpointEvidence, Schema, Verifier, holdings};
        let store = Arc::clone(&self.services.archive_store);
        let user_id = self.user(number);
        let held = holdings(&*store, Some(user_id))
            .await
            .unwrap()
            .remove(&user_id)
            .unwrap();
        let verifier = Verifier {
            store,
            schema: Schema::new(),
            downloaded: false,
        };
        let verdict = verifier
            .check(user_id, &held, &CheckpointEvidence::default())
            .await
            .unwrap();
        assert!(verdict.ok, "{verdict:?}");
    }
}

#[track_caller]
fn state(outcome: &Outcome) -> StateName {
    match outcome {
        Outcome::Finished(ended) => ended.state,
        other => panic!("not finished: {other:?}"),
    }
}

#[track_caller]
fn dead_letter(outcome: Outcome) -> (Reason, Code, StateName, String) {
    match outcome {
        Outcome::DeadLetter(given_up) => (
            given_up.reason,
            given_up.code.unwrap(),
            given_up.state.unwrap(),
            given_up.error,
        ),
        other => panic!("no dead letter: {other:?}"),
    }
}

/// A fault that every user would meet.
#[track_caller]
fn systemic(outcome: Outcome) -> Failure {
    match outcome {
        Outcome::Interrupted(Interrupt::Systemic(failure)) => failure,
        other => panic!("not systemic: {other:?}"),
    }
}

fn html(status: u16) -> Value {
    json!({ "kind": "status", "status": status, "contentType": "text/html", "body": "<HTML>Access Denied</HTML>",
        "headers": { "Server": "AkamaiGHost" } })
}

fn own(status: u16, code: &str) -> Value {
    json!({ "kind": "status", "status": status, "code": code })
}
