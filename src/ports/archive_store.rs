//! Where archives, seals, manifests and operators' records are kept: a bucket, or a directory.

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::TryStreamExt as _;
use futures_util::stream::BoxStream;
use jiff::Timestamp;
use uuid::Uuid;

use crate::failure::Failure;
use crate::integrity::Integrity;
use crate::machine::{Part, RetentionMark, UploadId};
use crate::manifest::ObjectKey;

/// An object that we stored.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Stored {
    /// The version, where the store keeps versions.
    pub version_id: Option<String>,
    /// The Object Lock retention that was set.
    pub retention: Option<RetentionMark>,
    /// The store's tag of the bytes, and the CRC-32C that it computed of them, where the answer of the write has both.
    pub proof: Option<Proof>,
}

/// What the answer of a write says of the bytes that were stored.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Proof {
    pub etag: String,
    pub crc32c: String,
}

/// The outcome of a write that never overwrites.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum PutOnce {
    /// The object did not exist, and does now.
    Stored(Stored),
    /// An object exists already; nothing was changed. It may be our own earlier write.
    AlreadyThere,
}

/// What is known of an object without reading it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Found {
    pub bytes: u64,
    /// The version, where the store keeps versions.
    pub version_id: Option<String>,
    /// The store's tag of these bytes, where it has one.
    pub etag: Option<String>,
    pub retention: Option<RetentionMark>,
    /// The interval that was given when an archive was stored.
    pub dates: Option<DateRange>,
    /// The SHA-256 that was given when the object was stored, in hex; an object of parts has none.
    pub sha256: Option<String>,
    /// The CRC-32C that the store returns, in base64. For an object of parts it may be the checksum
    /// of their checksums.
    pub crc32c: Option<String>,
}

/// The interval that an archive covers. It is kept with the object, so that a run that lost its
/// checkpoint knows what the archive contains.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct DateRange {
    pub from: Timestamp,
    pub to: Timestamp,
}

impl DateRange {
    /// The names under which the store keeps both ends.
    pub(crate) const NAMES: [&'static str; 2] = ["offboarder-date-from", "offboarder-date-to"];

    /// The values under those names.
    pub(crate) fn values(&self) -> [String; 2] {
        [self.from.to_string(), self.to.to_string()]
    }

    /// Reads the values back; `None` unless both are times.
    pub(crate) fn parse(from: Option<&str>, to: Option<&str>) -> Option<Self> {
        Some(Self {
            from: from?.parse().ok()?,
            to: to?.parse().ok()?,
        })
    }
}

/// An object in a listing.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Listed {
    pub key: ObjectKey,
    /// When it was last written, by the store's own clock.
    pub modified: Timestamp,
}

/// The bytes of an object, as they arrive.
pub(crate) type Chunks = BoxStream<'static, Result<Bytes, Failure>>;

/// One version of an object, or a delete marker, which hides the versions before it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Version {
    pub key: ObjectKey,
    /// The ID, where the store keeps versions.
    pub id: Option<String>,
    /// This is a delete marker, which has no bytes.
    pub deletes: bool,
    /// This is the newest version of its key, which a read without a version finds.
    pub latest: bool,
    /// The store lists no versions, so that it is unknown whether there are older ones.
    pub older_unknown: bool,
    /// When it was written, by the store's own clock; `None` where the store does not say.
    pub modified: Option<Timestamp>,
}

/// Versions of objects, in the order of the listing.
pub(crate) type Versions = BoxStream<'static, Result<Version, Failure>>;

/// The least size of part `number` (from 1), unless it is the last one: 6 MiB at first, doubling
/// every 1,000 parts. So 10,000 parts, the most that S3 accepts, hold more than its largest object,
/// and the first 6 GB need little memory. See "Amazon S3 multipart upload limits" in the S3 user
/// guide.
pub(crate) fn part_size_bytes(number: u32) -> usize {
    const FIRST: usize = 6 * 1024 * 1024;
    let doublings = number.saturating_sub(1) / 1_000;
    FIRST.saturating_mul(1_usize.checked_shl(doublings).unwrap_or(usize::MAX))
}

/// Where archives, seals and manifests are kept. Objects are written once and never changed.
#[async_trait]
pub(crate) trait ArchiveStore: Send + Sync {
    /// The bucket URL or directory, as manifests name it.
    fn location(&self) -> String;

    /// The key that shows which of the stored records are ours.
    fn integrity(&self) -> &Integrity;

    /// The whole key with its prefix, as manifests name it.
    fn full_key(&self, key: &ObjectKey) -> String;

    /// Whether this process lately stored the record of an announcement to the evidence log.
    fn has_stored(&self, _announcement: Uuid) -> bool {
        false
    }

    /// Stores a small object at once, unless one exists. A document (without `dates`) is read back
    /// where the store does not refuse wrong checksums. A crash in the middle leaves nothing, or
    /// the whole object.
    async fn put_once(
        &self,
        key: &ObjectKey,
        body: Bytes,
        dates: Option<&DateRange>,
    ) -> Result<PutOnce, Failure>;

    /// Begins an object of many parts, which is not visible before [`Self::complete`]. A crash
    /// right after it leaves an upload that no checkpoint names: see [`Self::uploads`].
    async fn begin(&self, key: &ObjectKey, dates: &DateRange) -> Result<UploadId, Failure>;

    /// The uploads of this key that were neither completed nor aborted.
    async fn uploads(&self, key: &ObjectKey) -> Result<Vec<UploadId>, Failure>;

    /// Stores one part; a second part with the same number replaces it. `offset_bytes` is where it
    /// begins in the whole object, since parts differ in size.
    async fn put_part(
        &self,
        key: &ObjectKey,
        upload: &UploadId,
        number: u32,
        offset_bytes: u64,
        body: Bytes,
    ) -> Result<Part, Failure>;

    /// Makes the whole object visible, unless one exists.
    async fn complete(
        &self,
        key: &ObjectKey,
        upload: &UploadId,
        parts: &[Part],
    ) -> Result<PutOnce, Failure>;

    /// Whether a probe of this process saw the store refuse a wrong checksum, of an object and of a
    /// part. Only then the checksum that it returns proves which bytes arrived; otherwise objects
    /// are read back.
    fn refuses_wrong_checksums(&self) -> bool;

    /// Gives an upload up. An upload that is gone already is not an error.
    async fn abort(&self, key: &ObjectKey, upload: &UploadId) -> Result<(), Failure>;

    /// What is known of an object, or of one version of it.
    async fn find(
        &self,
        key: &ObjectKey,
        version_id: Option<&str>,
    ) -> Result<Option<Found>, Failure>;

    /// The objects whose keys begin with `prefix`, in any order.
    async fn list(&self, prefix: &str) -> Result<Vec<Listed>, Failure>;

    /// The keys that begin with `prefix`, in any order.
    async fn keys(&self, prefix: &str) -> Result<Vec<ObjectKey>, Failure> {
        Ok(self
            .list(prefix)
            .await?
            .into_iter()
            .map(|listed| listed.key)
            .collect())
    }

    /// The same as [`Self::keys`] and [`Self::hidden`], with as few requests as the store needs.
    async fn shown_and_hidden(
        &self,
        prefix: &str,
    ) -> Result<(Vec<ObjectKey>, Vec<ObjectKey>), Failure> {
        futures_util::try_join!(self.keys(prefix), self.hidden(prefix))
    }

    /// The keys that begin with `prefix` and whose newest version is a delete marker, so that no
    /// listing shows them. Empty where the store keeps no versions. A store that answers
    /// `NotImplemented` to `ListObjectVersions` keeps none; every other refusal is an `Err`, since
    /// the keys are unknown then.
    async fn hidden(&self, prefix: &str) -> Result<Vec<ObjectKey>, Failure>;

    /// Every version of the keys that begin with `prefix`, also those that a delete marker hides.
    /// The newest version of a key comes first. A store that lists no versions (see
    /// [`Self::hidden`]) shows what a read finds, with [`Version::older_unknown`].
    fn versions(&self, prefix: &str) -> Versions;

    /// The same, at once, with as few requests as the store needs. Of a store that does not list all versions it shows what a
    /// read finds and what delete markers hide.
    async fn all_versions(&self, prefix: &str) -> Result<Vec<Version>, Failure> {
        self.versions(prefix).try_collect().await
    }

    /// Reads a small object; `Err` when it is larger than `max_bytes`.
    async fn read(&self, key: &ObjectKey, max_bytes: usize) -> Result<Option<Bytes>, Failure>;

    /// Reads the stored bytes back as a stream; `None` where there is no such object.
    async fn stream(
        &self,
        key: &ObjectKey,
        version_id: Option<&str>,
    ) -> Result<Option<Chunks>, Failure>;

    /// Proves that the store can be written, read and listed, and does not overwrite. The first
    /// probe of a process tests everything that we rely on, until one has passed; later ones, which
    /// an outage repeats every few seconds, are shorter. It leaves a few small objects,
    /// `_offboarder_probe*`, which later probes use again.
    async fn probe(&self) -> Result<(), Failure>;
}
