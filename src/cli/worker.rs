//! The composition root of the long-running process.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use parking_lot::Mutex;

use super::compose;
use super::exit::{CliError, Exit};
use crate::admin::{self, Api, Tokens};
use crate::config::{Settings, Sources};
use crate::integrity::Integrity;
use crate::ports::{Heartbeat, WorkerRegistry};
use crate::telemetry::{Telemetry, instance, metrics};
use crate::worker::{Options, Shutdown, Worker, announce, keep_access_index, shutdown_on_signals};

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
    let settings = Settings::for_worker(sources, args.allow_local_archive)?;
    warn_without_key(&settings.integrity);
    let name = instance();
    let services = tokio::select! {
        () = shutdown.draining.cancelled() => return Ok(Exit::Ok),
        // This contacts no service yet, so a failure is a fault of the settings.
        services = Box::pin(compose::unproven_services(&settings, &name)) => services.map_err(CliError::usage)?,
    };
    let options = Options {
        concurrency: settings.worker.concurrency,
        slice: settings.worker.slice,
        grace: settings.worker.shutdown_grace,
        name: name.clone(),
    };
    let services = Arc::new(services);
    let started_at = services.clock.now();
    let broker = compose::broker(&settings.queue).map_err(CliError::usage)?;
    let worker = Arc::new(Worker::new(
        Arc::clone(&services),
        Arc::clone(&broker),
        options,
    ));
    let stores = compose::shared_stores(&settings)
        .ok_or_else(|| CliError::usage("OFFBOARDER_CHECKPOINTS_URL: a worker needs Redis"))?;
    let not_ready_reasons = not_ready_reasons(&worker, &shutdown);
    let unhealthy_reasons = unhealthy_reasons(&worker, &shutdown);
    let listen = settings.admin.listen;
    let tokens = Tokens {
        operator: settings.admin.token.clone(),
        reader: settings.admin.read_token.clone(),
    };
    let api = Api::new(&name, &tokens, services, stores.clone(), broker);
    let bound = admin::serve(
        listen,
        Arc::clone(&not_ready_reasons),
        unhealthy_reasons,
        telemetry.exposition(),
        &api,
    )
    .await
    .map_err(|error| {
        CliError::usage(format!(
            "cannot listen on {listen} ({error}); set OFFBOARDER_ADMIN_LISTEN to another port"
        ))
    })?;
    let first = first_heartbeat(name.clone(), started_at, bound, settings.worker.concurrency);
    let heartbeat = heartbeats(first, not_ready_reasons, &worker, &shutdown);
    let announcing = announce(Arc::clone(&stores.workers), heartbeat);
    let _indexing = keep_access_index(stores.users);
    worker.run(&shutdown).await;
    drop(announcing);
    leave(&*stores.workers, &name).await;
    Ok(Exit::Ok)
}

/// Nobody waits for it: a worker that cannot say so is forgotten when it is silent.
async fn leave(workers: &dyn WorkerRegistry, name: &str) {
    match tokio::time::timeout(LEAVES_WITHIN, workers.leave(name)).await {
        Ok(Ok(())) => {}
        Ok(Err(failure)) => tracing::debug!(%failure, "this worker could not say that it ends"),
        Err(_elapsed) => tracing::debug!("this worker could not say in time that it ends"),
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
        version: env!("CARGO_PKG_VERSION").to_owned(),
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
        oldest_job: None,
    }
}

/// Makes heartbeats: `first` with the current state of the worker.
fn heartbeats(
    first: Heartbeat,
    not_ready_reasons: admin::Reasons,
    worker: &Arc<Worker>,
    shutdown: &Shutdown,
) -> impl Fn() -> Heartbeat + use<> {
    let worker = Arc::clone(worker);
    let draining = shutdown.draining.clone();
    let not_ready_since: Mutex<Option<Timestamp>> = Mutex::default();
    move || {
        let causes = not_ready_reasons();
        let mut since = not_ready_since.lock();
        *since = match *since {
            _ if causes.is_empty() => None,
            None => Some(Timestamp::now()),
            known => known,
        };
        Heartbeat {
            in_flight: worker.in_flight(),
            ready: causes.is_empty(),
            causes,
            draining: draining.is_cancelled(),
            not_ready_since: *since,
            lanes: Some(worker.lanes()),
            waiting_for_deletion_rate_limit: metrics::rate_limited_users(),
            oldest_job: worker.oldest_job(),
            ..first.clone()
        }
    }
}

/// Why the worker takes no users now: for `/readyz` and the heartbeat.
fn not_ready_reasons(worker: &Arc<Worker>, shutdown: &Shutdown) -> admin::Reasons {
    let worker = Arc::clone(worker);
    let draining = shutdown.draining.clone();
    Arc::new(move || {
        let draining = draining.is_cancelled().then(|| "draining".to_owned());
        draining
            .into_iter()
            .chain(worker.not_ready_because())
            .collect()
    })
}

/// Why a restart would help: for `/healthz`.
fn unhealthy_reasons(worker: &Arc<Worker>, shutdown: &Shutdown) -> admin::Reasons {
    let worker = Arc::clone(worker);
    let draining = shutdown.draining.clone();
    // A worker that drains ends by itself; a restart would only interrupt it.
    Arc::new(move || {
        if draining.is_cancelled() {
            Vec::new()
        } else {
            worker.unhealthy_because()
        }
    })
}

fn warn_without_key(integrity: &Integrity) {
    if !integrity.has_key() {
        tracing::warn!(
            "there is no integrity key: anyone who can write to Redis or to the bucket can lift holds; set OFFBOARDER_INTEGRITY_KEY_FILE"
        );
    }
}
