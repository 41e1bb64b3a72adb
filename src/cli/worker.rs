//! The composition root of the long-running process.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use parking_lot::Mutex;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::compose;
use super::compose_documents;
use super::evidence_writer::{EvidenceLog, evidence_log};
use super::exit::{CliError, Exit};
use crate::admin::{
    self, Access, Api, Deployment, JwtRules, JwtVerifier, KnownLog, ProcessState as _, ShownSetting,
};
use crate::clock::Clock;
use crate::config::{self, Cxone, Guard, Jwt, Settings, Sources, WorkerSettings};
use crate::integrity::Integrity;
use crate::limits::QuotaClass;
use crate::operations::fleet::{approvals_wait, requests_wait};
use crate::operations::operation::{self, Executor, Place};
use crate::ports::operations::OperationLine;
use crate::ports::queue::Broker;
use crate::ports::{Heartbeat, SharedStores, WorkerRegistry};
use crate::registers::PeopleWatch;
use crate::steps::{ApprovalGuard, RequestLimit, Services, SurgeWatch};
use crate::telemetry::{Telemetry, instance, metrics};
use crate::worker::{
    MinuteWriter, Options, Worker, announce, keep_access_index, keep_minutes, shutdown_on_signals,
};

/// An item of an operation in progress takes no longer, unless a service is away.
const OPERATIONS_END_WITHIN: Duration = Duration::from_secs(5);
/// A shutdown does not wait longer for Redis.
const LEAVES_WITHIN: Duration = Duration::from_secs(1);

/// Consumes off-boarding messages from RabbitMQ until SIGTERM or SIGINT
///
/// On the first signal the worker drains: users in progress stop at their next checkpoint and return to the queue. On a
/// second signal it ends at once.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  offboarder worker --worker-concurrency 32")]
pub(crate) struct Args {
    /// Allow an archive store that is a directory on this machine
    #[arg(long)]
    allow_local_archive: bool,
}

pub(super) async fn run(
    args: &Args,
    sources: &Sources,
    telemetry: &Telemetry,
) -> Result<Exit, CliError> {
    // Before anything else, so that a signal during the start ends the process in order, too.
    let shutdown = shutdown_on_signals().map_err(CliError::bad)?;
    let WorkerSettings {
        cxone,
        queue,
        base: settings,
    } = WorkerSettings::read(sources, args.allow_local_archive)?;
    warn_without_key(&settings.integrity);
    name_guards_off(&settings.guard);

    let name = instance();
    let services = tokio::select! {
        () = shutdown.draining.cancelled() => return Ok(Exit::Ok),
        // This contacts no service yet, so a failure is a fault of the settings.
        services = Box::pin(compose::unproven_services(&settings, &cxone, &name)) => services.map_err(CliError::usage)?,
    };
    let no_redis = || CliError::usage("OFFBOARDER_CHECKPOINTS_URL: a worker needs Redis");
    let stores = compose::shared_stores(&settings).ok_or_else(no_redis)?;
    let people = people(&settings).await?;
    let approval = compose::approval(&settings, &cxone, people.clone());
    let services = Services {
        approval: Arc::new(approval),
        ..of_a_worker(services, &stores, &settings.guard, &name)
    };
    let services = Arc::new(services);
    let clock = services.clock.clone();
    let started_at = clock.now();
    let broker = compose::broker(&queue).map_err(CliError::usage)?;
    let worker = Arc::new(Worker::new(
        Arc::clone(&services),
        Arc::clone(&broker),
        options(&settings, &name),
    ));
    let process = Arc::new(Process::new(&worker, &shutdown.draining, &services));

    let logging = evidence_log(&settings, &services, &name).await?;
    let executor = executor(&name, &services, &stores, &broker);
    let listen = settings.admin.listen;
    let api = Api::new(
        &name,
        access(&settings, people).await?,
        services,
        stores.clone(),
        broker,
        deployment(sources, &settings, &cxone, &logging),
    );
    let bound = admin::serve(listen, process.clone(), telemetry.exposition(), &api).await;
    let bound = bound.map_err(|error| cannot_listen(listen, &error))?;

    let first = first_heartbeat(name.clone(), started_at, bound, settings.worker.concurrency);
    let announcing = announce(stores.workers.clone(), move || process.heartbeat(&first));
    let _indexing = keep_access_index(stores.users);
    let minutes = Arc::new(tokio::sync::Mutex::new(MinuteWriter::new(
        stores.usage,
        clock,
    )));
    let keeping = keep_minutes(Arc::clone(&minutes));
    let operating = do_operations(&executor, &shutdown.draining);
    worker.run(&shutdown).await;
    wait_for_operations(operating).await;
    drop((announcing, keeping, logging));
    leave(&*stores.workers, &name).await;
    write_last(&minutes).await;
    Ok(Exit::Ok)
}

fn of_a_worker(services: Services, stores: &SharedStores, guard: &Guard, name: &str) -> Services {
    let surges = SurgeWatch::new(Arc::clone(&stores.surges), services.clock.clone(), name);
    Services {
        access_first: true,
        surges: Some(surges),
        requests: guard.max_requests.map(RequestLimit::new),
        ..services
    }
}

fn executor(
    name: &str,
    services: &Services,
    stores: &SharedStores,
    broker: &Arc<dyn Broker>,
) -> Executor {
    Executor {
        place: Place {
            store: Arc::clone(&services.archive_store),
            operations: Arc::clone(&stores.operations),
            clock: services.clock.clone(),
        },
        broker: Some(Arc::clone(broker)),
        checkpoints: Arc::clone(&stores.checkpoints),
        by: name.to_owned(),
    }
}

/// Does open operations, one of each line at a time, until the worker drains.
fn do_operations(executor: &Executor, draining: &CancellationToken) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    for line in OperationLine::ALL {
        tasks.spawn(operation::work(executor.clone(), line, draining.clone()));
    }
    tasks
}

/// What is in progress ends with its item, and another worker continues. One that does not is aborted.
async fn wait_for_operations(mut tasks: JoinSet<()>) {
    let ended = async { while tasks.join_next().await.is_some() {} };
    if tokio::time::timeout(OPERATIONS_END_WITHIN, ended)
        .await
        .is_err()
    {
        tracing::warn!("an operation did not end in time; another worker continues it");
    }
}

/// Nobody waits for it: a worker that cannot say so is forgotten when it is silent.
async fn leave(workers: &dyn WorkerRegistry, name: &str) {
    match tokio::time::timeout(LEAVES_WITHIN, workers.leave(name)).await {
        Ok(Ok(())) => {}
        Ok(Err(failure)) => tracing::debug!(%failure, "this worker could not say that it ends"),
        Err(_elapsed) => tracing::debug!("this worker could not say in time that it ends"),
    }
}

/// Writes what was done since the last heartbeat.
async fn write_last(minutes: &tokio::sync::Mutex<MinuteWriter>) {
    let writing = async { minutes.lock().await.write().await };
    if tokio::time::timeout(LEAVES_WITHIN, writing).await.is_err() {
        tracing::debug!("the counts of the last minute could not be written in time");
    }
}

/// What never changes while the worker lives, before it is ready.
fn first_heartbeat(
    name: String,
    since: Timestamp,
    listen: SocketAddr,
    concurrency: usize,
) -> Heartbeat {
    Heartbeat {
        name,
        version: crate::failpoint::release().to_owned(),
        since,
        listen,
        concurrency,
        in_flight: 0,
        ready: false,
        causes: Vec::new(),
        draining: false,
        not_ready_since: None,
        lanes: None,
        waiting_for_deletion_rate_limit: 0,
        waiting_for_request_limit: 0,
        waiting_for_approval: 0,
        oldest_job: None,
        does_operations: true,
    }
}

fn options(settings: &Settings, name: &str) -> Options {
    Options {
        concurrency: settings.worker.concurrency,
        slice: settings.worker.slice,
        grace: settings.worker.shutdown_grace,
        name: name.to_owned(),
    }
}

fn deployment(
    sources: &Sources,
    settings: &Settings,
    cxone: &Cxone,
    log: &EvidenceLog,
) -> Deployment {
    let shown = config::show(sources).into_iter();
    Deployment {
        environment: settings.admin.name.clone(),
        origin: settings.admin.origin.clone(),
        evidence_log: settings.evidence.as_ref().map(|evidence| KnownLog {
            origin: evidence.origin.clone(),
            verifiers: Arc::clone(&log.verifiers),
        }),
        rates: [
            (QuotaClass::Routing, cxone.rate_routing),
            (QuotaClass::Scim, cxone.rate_scim),
            (QuotaClass::Analytics, cxone.rate_analytics),
        ],
        settings: shown
            .map(|shown| ShownSetting {
                variable: shown.variable,
                value: shown.value,
                source: shown.source,
            })
            .collect(),
        runbook: settings.runbook.clone(),
    }
}

/// The people file, which is read from now on.
async fn people(settings: &Settings) -> Result<Option<Arc<PeopleWatch>>, CliError> {
    let Some(register) = compose_documents::people(settings).await? else {
        return Ok(None);
    };
    let watch = PeopleWatch::begin(register).await;
    let reading = Arc::clone(&watch);
    tokio::spawn(async move { reading.keep_reading().await });
    Ok(Some(watch))
}

/// Who may use the API.
async fn access(settings: &Settings, people: Option<Arc<PeopleWatch>>) -> Result<Access, CliError> {
    let jwt = match &settings.admin.jwt {
        None => None,
        Some(jwt) => Some(proxy(jwt).await?),
    };
    Ok(Access {
        operator: settings.admin.token.clone(),
        reader: settings.admin.read_token.clone(),
        people,
        jwt,
    })
}

/// The proxy that signs people in. Its keys are read from now on.
async fn proxy(jwt: &Jwt) -> Result<Arc<JwtVerifier>, CliError> {
    let rules = JwtRules {
        issuer: jwt.issuer.clone(),
        audience: jwt.audience.clone(),
        claim: jwt.claim.clone(),
        proxies: jwt.proxies.clone(),
    };
    let verifier = JwtVerifier::begin(rules, compose_documents::key_set(jwt)?).await;
    let reading = Arc::clone(&verifier);
    tokio::spawn(async move { reading.keep_reading().await });
    Ok(verifier)
}

fn cannot_listen(listen: SocketAddr, error: &std::io::Error) -> CliError {
    CliError::usage(format!(
        "cannot listen on {listen} ({error}); set OFFBOARDER_ADMIN_LISTEN to another port"
    ))
}

/// What this process says of itself on `/readyz`, on `/healthz` and in its heartbeats.
struct Process {
    worker: Arc<Worker>,
    draining: CancellationToken,
    clock: Clock,
    approval: Arc<ApprovalGuard>,
    not_ready_since: Mutex<Option<Timestamp>>,
}

impl admin::ProcessState for Process {
    fn not_ready_because(&self) -> Vec<String> {
        let draining = self.draining.is_cancelled().then(|| "draining".to_owned());
        draining
            .into_iter()
            .chain(self.worker.not_ready_because())
            .collect()
    }

    fn notices(&self) -> Vec<String> {
        let waiting = metrics::requests_waiting();
        let notice = (waiting > 0).then(|| requests_wait(&format!("{waiting} users wait")));
        let unapproved = metrics::approvals_waiting();
        let approvals =
            (unapproved > 0).then(|| approvals_wait(&format!("{unapproved} users wait")));
        let notices = notice.into_iter().chain(approvals);
        notices.chain(self.approval.instead()).collect()
    }

    /// A worker that drains ends by itself; a restart would only interrupt it.
    fn unhealthy_because(&self) -> Vec<String> {
        if self.draining.is_cancelled() {
            Vec::new()
        } else {
            self.worker.unhealthy_because()
        }
    }
}

impl Process {
    fn new(worker: &Arc<Worker>, draining: &CancellationToken, services: &Services) -> Self {
        Self {
            worker: Arc::clone(worker),
            draining: draining.clone(),
            clock: services.clock.clone(),
            approval: Arc::clone(&services.approval),
            not_ready_since: Mutex::default(),
        }
    }

    /// `first` with the current state of the worker.
    fn heartbeat(&self, first: &Heartbeat) -> Heartbeat {
        let causes = self.not_ready_because();
        let mut since = self.not_ready_since.lock();
        *since = match *since {
            _ if causes.is_empty() => None,
            None => Some(self.clock.now()),
            known => known,
        };

        Heartbeat {
            in_flight: self.worker.in_flight(),
            ready: causes.is_empty(),
            causes,
            draining: self.draining.is_cancelled(),
            not_ready_since: *since,
            lanes: Some(self.worker.lanes()),
            waiting_for_deletion_rate_limit: metrics::rate_limited_users(),
            waiting_for_request_limit: metrics::requests_waiting(),
            waiting_for_approval: metrics::approvals_waiting(),
            oldest_job: self.worker.oldest_job(),
            ..first.clone()
        }
    }
}

fn warn_without_key(integrity: &Integrity) {
    if !integrity.has_key() {
        tracing::warn!(
            "there is no integrity key: anyone who can write to Redis or to the bucket can lift holds; set OFFBOARDER_INTEGRITY_KEY_FILE"
        );
    }
}

fn name_guards_off(guard: &Guard) {
    let off = guard.off().join(", ");
    if guard.max_deletions.is_none() || guard.max_requests.is_none() {
        tracing::warn!(
            off,
            "guards are off: one wrong list or program reaches all users whom it names"
        );
    } else if !off.is_empty() {
        tracing::info!(off, "guards are off");
    }
}
