//! Settings made into services: where ports get their adapters.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::compose_documents::{self, s3_reader};
use super::exit::CliError;
use crate::adapters::amqp::AmqpBroker;
use crate::adapters::directory::DirectoryStore;
use crate::adapters::embedded::EmbeddedCheckpoints;
use crate::adapters::genesys::{GenesysClient, GenesysOptions};
use crate::adapters::http::{ApiOptions, Grant, LocalQuotas};
use crate::adapters::nice;
use crate::adapters::redis::{
    RedisBatches, RedisCheckpoints, RedisConnection, RedisHealth, RedisOperations, RedisQuotas,
    RedisSessions, RedisSurges, RedisUsage, RedisUsers, RedisViews, RedisWorkers,
};
use crate::adapters::s3::{S3Options, S3Store};
use crate::adapters::tutorial::Client;
use crate::address::RedisUrl;
use crate::archive::ArchiveMemory;
use crate::clock::Clock;
use crate::config::{AccessKey, Archive, ArchiveLocation, CheckpointsUrl, Cxone, Queue, Settings};
use crate::evidence_log::AnnouncingStore;
use crate::guards::Guards;
use crate::guards::approval::Fingerprint;
use crate::limits::Rate;
use crate::machine::RetryPolicy;
use crate::manifest::Actor;
use crate::operations::fleet::{Fleet, FleetSources, fleet};
use crate::operations::operation::Place;
use crate::ports::batches::Batches;
use crate::ports::operations::Operations;
use crate::ports::queue::Broker;
use crate::ports::users::UserIndex;
use crate::ports::{ArchiveStore, Checkpoints, Quotas, SharedStores, Tenant, WorkerRegistry};
use crate::profile::TenantProfile;
use crate::progress::Progress;
use crate::registers::{Orders, PeopleWatch, SharedRead, StopRegister};
use crate::steps::{ApprovalGuard, Services};

/// Longer than a gateway that restarts one of its processes, or a replica that lags, takes to answer correctly again.
const SECOND_READ_AFTER: Duration = Duration::from_secs(1);

pub(super) fn tenant(
    settings: &Cxone,
    quotas: Arc<dyn Quotas>,
    progress: Progress,
) -> Result<Arc<dyn Tenant>, CliError> {
    let options = ApiOptions {
        base_uri: settings.base_uri.clone(),
        token_uri: settings.token_uri.clone(),
        ca: settings.ca.clone(),
        client_id: settings.client_id.clone(),
        client_secret: settings.client_secret.clone(),
        grant: match &settings.access_key {
            None => Grant::ClientCredentials,
            Some(AccessKey { id, secret }) => Grant::AccessKey {
                id: id.clone(),
                secret: secret.clone(),
            },
        },
        rate_routing: settings.rate_routing.map(Rate::per_second),
        rate_scim: settings.rate_scim.map(Rate::per_second),
        rate_analytics: settings.rate_analytics.map(Rate::per_second),
        quotas,
        page_size: settings.page_size,
        second_read_after: SECOND_READ_AFTER,
        clock: Clock::system(),
        progress,
    };
    Ok(match settings.profile {
        TenantProfile::Tutorial => Arc::new(Client::new(options)?),
        TenantProfile::Cxone => Arc::new(nice::Client::new(
            options,
            &settings.api_version,
            settings.window_days,
        )?),
        TenantProfile::Genesys => Arc::new(GenesysClient::new(GenesysOptions {
            http: options,
            leave_groups: settings.leave_groups,
            window_days: settings.window_days,
        })?),
    })
}

/// The quotas of a process that shares them with no other.
pub(super) fn local_quotas() -> Arc<dyn Quotas> {
    Arc::new(LocalQuotas::default())
}

pub(super) fn checkpoints(settings: &Settings) -> Result<Arc<dyn Checkpoints>, CliError> {
    Ok(shared(settings, "")?.0)
}

/// What the checkpoint store has of users.
pub(super) struct UserStores {
    pub(super) checkpoints: Arc<dyn Checkpoints>,
    pub(super) users: Arc<dyn UserIndex>,
    /// Only a store that processes share keeps batches.
    pub(super) batches: Option<Arc<dyn Batches>>,
    pub(super) quotas: Arc<dyn Quotas>,
}

pub(super) fn user_stores(settings: &Settings) -> Result<UserStores, CliError> {
    Ok(match &settings.checkpoints {
        CheckpointsUrl::Embedded(directory) => {
            let embedded = EmbeddedCheckpoints::open(directory, Clock::system())?
                .with_integrity(settings.integrity.clone());
            let embedded = Arc::new(embedded);
            UserStores {
                checkpoints: Arc::clone(&embedded) as Arc<dyn Checkpoints>,
                users: embedded,
                batches: None,
                quotas: local_quotas(),
            }
        }
        CheckpointsUrl::Redis(url) => {
            let redis = redis(url, settings, "");
            UserStores {
                checkpoints: redis.checkpoints,
                users: redis.users,
                batches: Some(redis.batches),
                quotas: redis.quotas,
            }
        }
    })
}

pub(super) type Shared = (Arc<dyn Checkpoints>, Arc<dyn Quotas>);

/// What workers share: checkpoints, and quotas. An embedded store is one process's own.
fn shared(settings: &Settings, worker: &str) -> Result<Shared, CliError> {
    Ok(match &settings.checkpoints {
        CheckpointsUrl::Embedded(directory) => {
            let embedded = EmbeddedCheckpoints::open(directory, Clock::system())?
                .with_integrity(settings.integrity.clone());
            (Arc::new(embedded), local_quotas())
        }
        CheckpointsUrl::Redis(url) => {
            let files = RedisConnection::new(url).check_files();
            files.map_err(|failure| CliError::usage(failure.text))?;
            let redis = redis(url, settings, worker);
            (redis.checkpoints, redis.quotas)
        }
    })
}

/// Everything that one Redis keeps, over one connection of its own.
/// `worker`: its name, empty for a command.
pub(super) fn redis(url: &RedisUrl, settings: &Settings, worker: &str) -> SharedStores {
    let connection = Arc::new(RedisConnection::new(url));
    let checkpoints = RedisCheckpoints::new(
        Arc::clone(&connection),
        settings.worker.lease,
        settings.retention.0,
        settings.integrity.clone(),
    )
    .of_worker(worker);

    SharedStores {
        checkpoints: Arc::new(checkpoints),
        quotas: Arc::new(RedisQuotas::new(Arc::clone(&connection))),
        batches: Arc::new(RedisBatches::new(Arc::clone(&connection))),
        users: Arc::new(RedisUsers::new(Arc::clone(&connection), Clock::system())),
        workers: Arc::new(RedisWorkers::new(Arc::clone(&connection))),
        surges: Arc::new(RedisSurges::new(Arc::clone(&connection))),
        usage: Arc::new(RedisUsage::new(Arc::clone(&connection))),
        operations: Arc::new(RedisOperations::new(Arc::clone(&connection))),
        sessions: Arc::new(RedisSessions::new(
            Arc::clone(&connection),
            settings.integrity.clone(),
        )),
        views: Arc::new(RedisViews::new(Arc::clone(&connection))),
        health: Arc::new(RedisHealth::new(connection)),
    }
}

/// What a command needs to begin an operation, to follow it, and to do it.
pub(super) struct OperationStores {
    pub(super) place: Place,
    pub(super) checkpoints: Arc<dyn Checkpoints>,
    /// `None` with an embedded store, which no worker uses.
    pub(super) workers: Option<Arc<dyn WorkerRegistry>>,
}

pub(super) async fn operation_stores(settings: &Settings) -> Result<OperationStores, CliError> {
    let store = archive_store(settings).await?;
    let clock = Clock::system();
    Ok(match &settings.checkpoints {
        CheckpointsUrl::Embedded(directory) => {
            let embedded = EmbeddedCheckpoints::open(directory, Clock::system())?
                .with_integrity(settings.integrity.clone());
            let embedded = Arc::new(embedded);
            OperationStores {
                place: Place {
                    store,
                    operations: Arc::clone(&embedded) as Arc<dyn Operations>,
                    clock,
                },
                checkpoints: embedded,
                workers: None,
            }
        }
        CheckpointsUrl::Redis(url) => {
            let redis = redis(url, settings, "");
            OperationStores {
                place: Place {
                    store,
                    operations: redis.operations,
                    clock,
                },
                checkpoints: redis.checkpoints,
                workers: Some(redis.workers),
            }
        }
    })
}

/// What all processes of the deployment share; `None` with an embedded store, which belongs to one.
pub(super) fn shared_stores(settings: &Settings) -> Option<SharedStores> {
    match &settings.checkpoints {
        CheckpointsUrl::Embedded(_) => None,
        CheckpointsUrl::Redis(url) => Some(redis(url, settings, "")),
    }
}

/// What the banner about the fleet is read from. A service that cannot be used is named in the banner.
pub(super) async fn fleet_sources(
    settings: &Settings,
    queue: Option<&Queue>,
    stores: &SharedStores,
) -> FleetSources {
    let store = archive_store(settings).await;
    let queues = queue.map(|queue| Ok(broker(queue)?.publisher(1)));
    FleetSources {
        workers: Arc::clone(&stores.workers),
        store: store.map_err(|error| error.to_string()),
        queues: queues.map(|queues: Result<_, CliError>| queues.map_err(|error| error.to_string())),
        orders: StopRegister::default(),
    }
}

/// The state of the fleet; `None` with an embedded store, which no worker uses.
pub(super) async fn fleet_now(settings: &Settings, queue: Option<&Queue>) -> Option<Fleet> {
    let stores = shared_stores(settings)?;
    let sources = fleet_sources(settings, queue, &stores).await;
    let state = fleet(&sources, Clock::system().now()).await;
    sources.close().await;
    Some(state)
}

/// With the key, by which records of ours are known there. Where the evidence log is on, it hears of each record.
pub(super) async fn archive_store(settings: &Settings) -> Result<Arc<dyn ArchiveStore>, CliError> {
    let store = plain_archive_store(settings).await?;
    Ok(match &settings.evidence {
        Some(_) => Arc::new(AnnouncingStore::new(store, Clock::system()).collecting()),
        None => store,
    })
}

async fn plain_archive_store(settings: &Settings) -> Result<Arc<dyn ArchiveStore>, CliError> {
    let archive = &settings.archive;
    let integrity = settings.integrity.clone();

    Ok(match &archive.location {
        ArchiveLocation::Directory(path) => {
            if archive.retention.is_some() {
                return Err(CliError::usage(
                    "OFFBOARDER_ARCHIVE_RETENTION: a directory keeps no retention; use s3://",
                ));
            }
            Arc::new(DirectoryStore::open(path)?.with_integrity(integrity))
        }
        ArchiveLocation::S3 { bucket, prefix } => Arc::new(
            s3_store(archive, bucket, prefix)
                .await?
                .with_integrity(integrity),
        ),
    })
}

/// Objects that were downloaded to a directory.
pub(super) fn directory_store(directory: &Path) -> Result<Arc<dyn ArchiveStore>, CliError> {
    Ok(Arc::new(DirectoryStore::open(directory)?))
}

pub(super) async fn s3_store(
    settings: &Archive,
    bucket: &str,
    prefix: &str,
) -> Result<S3Store, CliError> {
    let options = S3Options {
        prefix,
        retention: settings.retention,
        kms_key: settings.kms_key.as_deref(),
        ..s3_reader(settings, bucket)
    };
    Ok(S3Store::connect(options).await?)
}

pub(super) fn broker(settings: &Queue) -> Result<Arc<dyn Broker>, CliError> {
    let broker = AmqpBroker::new(&settings.url, settings.tls.clone())?;
    Ok(match settings.management.clone() {
        Some(management) => Arc::new(broker.with_management(management)),
        None => Arc::new(broker),
    })
}

/// Everything that steps need, and proof that the stores take writes before the first user is touched.
pub(super) async fn services(
    settings: &Settings,
    cxone: &Cxone,
    worker: &str,
) -> Result<Services, CliError> {
    let profile = cxone.profile;
    if !profile.is_tutorial() {
        tracing::warn!(
            %profile,
            "this profile was tried on a simulator only, and on no live tenant yet; see docs/tenants.md"
        );
    }
    let services = unproven_services(settings, cxone, worker).await?;
    services.checkpoints.probe().await?;
    services.archive_store.probe().await?;
    services.protected.load().await?;
    services.count_deletions().await?;
    services.keep_approval_rule().await?;
    Ok(services)
}

/// `people`: those who can approve; only a worker reads who they are.
pub(super) fn approval(
    settings: &Settings,
    cxone: &Cxone,
    people: Option<Arc<PeopleWatch>>,
) -> ApprovalGuard {
    let guard = &settings.guard;
    let fingerprint = Fingerprint::of(
        cxone.profile,
        guard.delete,
        guard.delete_grace,
        guard.max_deletions,
        String::new(),
    );
    let tenant = cxone.base_uri.origin().ascii_serialization();
    ApprovalGuard::new(guard.approval, people, tenant, fingerprint)
}

/// The same for those who only read: nothing is written, not even by a probe.
pub(super) async fn unproven_services(
    settings: &Settings,
    cxone: &Cxone,
    worker: &str,
) -> Result<Services, CliError> {
    let shared = shared(settings, worker)?;
    services_over(shared, settings, cxone, worker).await
}

/// The same over stores that are open already, which an embedded store can be only once.
pub(super) async fn services_over(
    (checkpoints, quotas): Shared,
    settings: &Settings,
    cxone: &Cxone,
    worker: &str,
) -> Result<Services, CliError> {
    let progress = Progress::default();
    Ok(Services {
        clock: Clock::system(),
        tenant: tenant(cxone, quotas, progress.clone())?,
        progress,
        archive_store: archive_store(settings).await?,
        checkpoints,
        guards: Guards {
            delete_grace: settings.guard.delete_grace,
            deletion_rate_limit: settings.guard.max_deletions,
        },
        requests: None,
        approval: Arc::new(approval(settings, cxone, None)),
        protected: compose_documents::protected(settings).await?,
        orders: Orders::default(),
        stop_orders: Arc::new(StopRegister::default()),
        pause: SharedRead::default(),
        delete: settings.guard.delete,
        access_first: false,
        retry: RetryPolicy {
            max_attempts: settings.worker.max_attempts,
            base: settings.worker.retry_base,
            cap: settings.worker.retry_cap,
        },
        surges: None,
        memory: ArchiveMemory::new(settings.worker.memory_bytes),
        history: cxone.history,
        settle: cxone.settle,
        window_days: cxone.window_days,
        actor: Actor::new(worker),
    })
}
