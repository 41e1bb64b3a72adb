use super::super::compose;
use super::super::exit::CliError;
use super::finding::Finding;
use crate::config::{Archive, ArchiveLocation, CheckpointsUrl, Settings};
use crate::failure::{Code, Failure};
use crate::ports::{ArchiveStore, BucketHealth, Persistence, ReplicaRule};

const CHECKPOINTS: &str = "checkpoints";
const ARCHIVE: &str = "archive store";

/// Checks whether the checkpoint store accepts writes and keeps them.
pub(super) async fn checkpoints(settings: &Settings) -> Vec<Finding> {
    match &settings.checkpoints {
        CheckpointsUrl::Embedded(_) => match compose::checkpoints(settings) {
            Ok(checkpoints) => vec![accepts_writes(checkpoints.probe().await)],
            Err(error) => {
                vec![Finding::bad(
                    CHECKPOINTS,
                    error.to_string(),
                    "fix OFFBOARDER_CHECKPOINTS_URL",
                )]
            }
        },
        CheckpointsUrl::Redis(url) => {
            let redis = compose::redis(url, settings, "");
            let writes = accepts_writes(redis.checkpoints.probe().await);
            // An unreachable Redis is reported only once.
            let health = if writes.unreachable {
                None
            } else {
                Some(redis.health.persistence().await)
            };
            let kept = match health {
                Some(Ok(health)) => keeps(&health),
                Some(Err(failure)) => vec![Finding::failed("checkpoints persistence", failure)],
                None => Vec::new(),
            };
            std::iter::once(writes).chain(kept).collect()
        }
    }
}

fn accepts_writes(probed: Result<(), Failure>) -> Finding {
    match probed {
        Ok(()) => Finding::good(CHECKPOINTS, "accepts writes"),
        Err(failure) => Finding::failed(CHECKPOINTS, failure),
    }
}

fn keeps(health: &Persistence) -> Vec<Finding> {
    if health.may_not_ask {
        return vec![Finding::good(
            "checkpoints persistence",
            "could not see maxmemory-policy (noeviction keeps all checkpoints), persistence and replicas: this user may not ask INFO",
        )];
    }
    let eviction = match health.eviction.as_deref() {
        Some("noeviction") => {
            Finding::good("checkpoints eviction", "maxmemory-policy is noeviction")
        }
        Some(policy) => Finding::bad(
            "checkpoints eviction",
            format!("maxmemory-policy is {policy}: if memory runs out, Redis deletes checkpoints"),
            "CONFIG SET maxmemory-policy noeviction, and in redis.conf",
        ),
        None => Finding::good(
            "checkpoints eviction",
            "INFO does not show the maxmemory-policy",
        ),
    };
    let persistence = match health.append_only {
        Some(true) => Finding::good("checkpoints persistence", "the append-only file is on"),
        // Managed services have none, or none by default, and nothing depends on it.
        Some(false) => Finding::warning(
            "checkpoints persistence",
            "the append-only file is off: after a restart, checkpoints are lost, and workers have to read the progress of users from the archive store and the API, which is slower and as safe",
            "where you can, CONFIG SET appendonly yes, and in redis.conf",
        ),
        None => Finding::good(
            "checkpoints persistence",
            "INFO does not show whether the append-only file is on",
        ),
    };
    let replicas = health.replicas.map(cut_off);
    [eviction, persistence]
        .into_iter()
        .chain(replicas)
        .collect()
}

/// Whether a primary that is cut off together with a worker lets it continue with users whom another one takes over.
fn cut_off(rule: ReplicaRule) -> Finding {
    const NAME: &str = "checkpoints replicas";
    match rule {
        ReplicaRule::RefusesWritesAfter(seconds) => Finding::good(
            NAME,
            format!(
                "the server that was asked refuses writes {seconds} s after it lost its replicas; that and 5 s have to be less than the time after which it is replaced (down-after-milliseconds of sentinels, cluster-node-timeout)"
            ),
        ),
        // One that is promoted would have none, and take no writes until the old primary is back.
        ReplicaRule::TakesWrites { replicas: 0 | 1 } => Finding::warning(
            NAME,
            "a primary that is cut off from its replica still takes writes: after it is replaced, two workers may work on one user for some seconds",
            "give each primary a second replica; with two, min-replicas-to-write 1 keeps it from that",
        ),
        ReplicaRule::TakesWrites { .. } => Finding::warning(
            NAME,
            "a primary that is cut off from its replicas still takes writes: after it is replaced, two workers may work on one user for some seconds",
            "CONFIG SET min-replicas-to-write 1 and min-replicas-max-lag 3, and in redis.conf",
        ),
        ReplicaRule::Unknown => Finding::good(
            NAME,
            "could not see min-replicas-to-write (1 keeps a primary that is cut off from taking writes): this user may not ask CONFIG",
        ),
    }
}

/// Checks whether the archive store can be written, read and listed, does not overwrite, and locks objects if it has to.
pub(super) async fn archive(settings: &Settings) -> Vec<Finding> {
    match &settings.archive.location {
        ArchiveLocation::S3 { bucket, prefix } => s3(&settings.archive, bucket, prefix)
            .await
            .unwrap_or_else(|error| {
                vec![Finding::bad(
                    ARCHIVE,
                    error.to_string(),
                    "fix the file that is named, or name another",
                )]
            }),
        ArchiveLocation::Directory(_) => match compose::archive_store(settings).await {
            Ok(store) => rights(&*store, async { String::new() }).await,
            Err(error) => vec![Finding::bad(
                ARCHIVE,
                error.to_string(),
                "fix OFFBOARDER_ARCHIVE_URL",
            )],
        },
    }
}

async fn s3(archive: &Archive, bucket: &str, prefix: &str) -> Result<Vec<Finding>, CliError> {
    let mut store = compose::s3_store(archive, bucket, prefix).await?;
    // An unreachable store is reported only once, by the probe.
    let lock = lock(archive, &store, &store.location())
        .await
        .filter(|finding| !finding.unreachable);

    if lock.as_ref().is_some_and(|finding| !finding.ok) {
        // A missing lock is reported only once, too: the probe would write with a lock.
        store = compose::s3_store(
            &Archive {
                retention: None,
                ..archive.clone()
            },
            bucket,
            prefix,
        )
        .await?;
    }
    let mut findings = rights(&store, identity(&store)).await;
    if findings.iter().all(|finding| !finding.unreachable) {
        findings.extend(lock);
    }

    Ok(findings)
}

async fn identity(store: &dyn BucketHealth) -> String {
    match store.identity().await {
        Some(access_key) => format!(", with the access key {access_key}"),
        None => ", and the provider chain found no credentials".to_owned(),
    }
}

async fn rights(store: &dyn ArchiveStore, identity: impl Future<Output = String>) -> Vec<Finding> {
    let location = store.location();
    // First, since the SDK says only once what is wrong with a profile.
    let probed = store.probe().await;
    let identity = identity.await;
    let says = |check, result: Result<(), Failure>, detail: &str| match result {
        Ok(()) => Finding::good(check, format!("{location} {detail}{identity}")),
        Err(mut failure) => {
            failure.text = format!("{}{identity}", failure.text);
            Finding::failed(check, failure)
        }
    };
    let checksums = if store.refuses_wrong_checksums() {
        "and refuses wrong checksums"
    } else {
        "and does not check checksums, so each archive is read back whole"
    };
    let does = format!("accepts writes, lists and returns them, does not overwrite, {checksums}");
    let written = says(ARCHIVE, probed, &does);

    if written.unreachable {
        return vec![written];
    }
    let listed = store.keys("_offboarder_probe").await.map(|_keys| ());

    vec![written, says("archive listing", listed, "can be listed")]
}

async fn lock(archive: &Archive, store: &dyn BucketHealth, location: &str) -> Option<Finding> {
    const CHECK: &str = "archive lock";
    archive.retention?;
    Some(match store.keeps_locks().await {
        Ok(true) => Finding::good(CHECK, format!("{location} keeps locks")),
        Ok(false) => Finding::bad(
            CHECK,
            format!("OFFBOARDER_ARCHIVE_RETENTION is set, and {location} has no Object Lock"),
            "create a bucket with Object Lock and name it in OFFBOARDER_ARCHIVE_URL, or set the retention to off",
        ),
        Err(failure) if failure.code == Code::ArchiveDenied => Finding::bad(
            CHECK,
            failure.text,
            "grant s3:GetBucketObjectLockConfiguration on the bucket",
        ),
        Err(failure) => Finding::failed(CHECK, failure),
    })
}
