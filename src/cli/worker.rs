use std::sync::Arc;

use jiff::Timestamp;

use super::compose;
use super::exit::{CliError, Exit};
use crate::admin::{self, Api};
use crate::config::{Settings, Sources};
use crate::ports::Heartbeat;
use crate::telemetry::{Telemetry, instance};
use crate::worker::{Options, Worker, announce, shutdown_on_signals};

/// Consumes off-boarding messages from RabbitMQ until SIGTERM or SIGINT
///
/// The first signal drains: users in progress stop at their next checkpoint and go back. A second one
/// ends at once.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  offboarder worker --worker-concurrency 32")]
pub(crate) struct Args {
    /// Let archives go to a directory of this machine
    #[arg(long)]
    allow_local_archive: bool,
}

/// The composition root of the long-running process.
pub(super) async fn run(
    args: &Args,
    sources: &Sources,
    telemetry: &Telemetry,
) -> Result<Exit, CliError> {
    // First of all: a signal that comes while it starts ends it in order, too.
    let shutdown = shutdown_on_signals().map_err(CliError::bad)?;
    let settings = Settings::for_worker(sources, args.allow_local_archive)?;
    if !settings.integrity.has_key() {
        tracing::warn!(
            "no integrity key: whoever may write to Redis or to the bucket can lift holds; set OFFBOARDER_INTEGRITY_KEY_FILE"
        );
    }
    let name = instance();
    let services = tokio::select! {
        () = shutdown.draining.cancelled() => return Ok(Exit::Ok),
        // Nothing is asked yet, so what fails here is what the settings name.
        services = Box::pin(compose::unproven_services(&settings, &name)) => services.map_err(CliError::usage)?,
    };
    let options = Options {
        concurrency: settings.worker.concurrency,
        slice: settings.worker.slice,
        grace: settings.worker.shutdown_grace,
        name: name.clone(),
    };
    let services = Arc::new(services);
    let broker = compose::broker(&settings.queue).map_err(CliError::usage)?;
    let worker = Arc::new(Worker::new(
        Arc::clone(&services),
        Arc::clone(&broker),
        options,
    ));
    let redis = compose::shared_stores(&settings)
        .ok_or_else(|| CliError::usage("OFFBOARDER_CHECKPOINTS_URL: a worker needs Redis"))?;
    let causes: admin::Causes = {
        let (worker, draining) = (Arc::clone(&worker), shutdown.draining.clone());
        Arc::new(move || {
            let draining = draining.is_cancelled().then(|| "draining".to_owned());
            draining
                .into_iter()
                .chain(worker.not_ready_because())
                .collect()
        })
    };
    let ills = {
        let (worker, draining) = (Arc::clone(&worker), shutdown.draining.clone());
        // A drain has an end of its own.
        Arc::new(move || {
            if draining.is_cancelled() {
                Vec::new()
            } else {
                worker.unhealthy_because()
            }
        })
    };
    let listen = settings.admin.listen;
    let api = Api::new(&name, &settings.admin, services, redis.clone(), broker);
    let bound = admin::serve(
        listen,
        Arc::clone(&causes),
        ills,
        telemetry.exposition(),
        &api,
    )
    .await
    .map_err(|error| {
        CliError::usage(format!(
            "cannot listen on {listen} ({error}); set OFFBOARDER_ADMIN_LISTEN to another port"
        ))
    })?;
    let since = Timestamp::now();
    let announced = {
        let (worker, draining, concurrency) = (
            Arc::clone(&worker),
            shutdown.draining.clone(),
            settings.worker.concurrency,
        );
        move || {
            let causes = causes();
            Heartbeat {
                name: name.clone(),
                version: env!("CARGO_PKG_VERSION").to_owned(),
                since,
                listen: bound,
                concurrency,
                in_flight: worker.in_flight(),
                ready: causes.is_empty(),
                causes,
                draining: draining.is_cancelled(),
            }
        }
    };
    let _announcing = announce(redis.workers, announced);
    worker.run(&shutdown).await;
    Ok(Exit::Ok)
}
