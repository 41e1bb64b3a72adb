//! What `doctor` asks stores about how they keep what they are given.

use async_trait::async_trait;

use crate::failure::Failure;

/// How a checkpoint store keeps checkpoints. A member is `None` where the store does not say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Persistence {
    /// Redis' `maxmemory-policy`; only `noeviction` never drops a checkpoint.
    pub eviction: Option<String>,
    /// Whether Redis writes an append-only file, which survives a restart.
    pub append_only: Option<bool>,
    /// The store does not let this user ask, as managed ones do.
    pub may_not_ask: bool,
    /// `None` without replicas.
    pub replicas: Option<ReplicaRule>,
}

/// What a primary does that is cut off from its replicas, one of which may be the primary by now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ReplicaRule {
    /// This user may not ask.
    Unknown,
    /// It takes writes as before: `min-replicas-to-write` is 0. A primary has this many replicas at the least.
    TakesWrites { replicas: u64 },
    /// It refuses writes after these seconds: `min-replicas-max-lag`.
    RefusesWritesAfter(u64),
}

/// A checkpoint store that can lose data by its settings.
#[async_trait]
pub(crate) trait CheckpointHealth: Send + Sync {
    /// Reads the settings. Changes nothing.
    async fn persistence(&self) -> Result<Persistence, Failure>;
}

/// A bucket, which has settings that an archive depends on.
#[async_trait]
pub(crate) trait BucketHealth: Send + Sync {
    /// The access key in force, which is not secret; `None` where no credentials were found.
    async fn identity(&self) -> Option<String>;

    /// Whether the bucket keeps the versions of what is overwritten or deleted.
    async fn keeps_versions(&self) -> Result<bool, Failure>;

    /// Whether the store lists versions (`ListObjectVersions`).
    async fn lists_versions(&self) -> Result<bool, Failure>;

    /// Whether the bucket has Object Lock.
    async fn keeps_locks(&self) -> Result<bool, Failure>;
}
