use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::BoxStream;
use jiff::Timestamp;

use crate::failure::Failure;
use crate::integrity::Integrity;
use crate::machine::{Part, RetentionMark, UploadId};
use crate::manifest::ObjectKey;

/// An object that we stored.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Stored {
    /// The version, where the store keeps versions.
    pub version_id: Option<String>,
    /// Object Lock retention that was set.
    pub retention: Option<RetentionMark>,
}

/// The outcome of a write that never overwrites.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum PutOnce {
    /// It was not there, and is now.
    Stored(Stored),
    /// Something is there already; nothing was changed. It may be our own earlier write.
    AlreadyThere,
}

/// What the store says of an object.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Found {
    pub bytes: u64,
    /// The version, where the store keeps versions.
    pub version_id: Option<String>,
    /// The store's tag for these bytes, where it has one.
    pub etag: Option<String>,
    pub retention: Option<RetentionMark>,
    /// What was said of it when it was stored.
    pub span: Option<DateRange>,
    /// The SHA-256 that was said of it when it was stored, lower-case hex; an object of parts has none.
    pub sha256: Option<String>,
    /// CRC-32C as the store returns it, base64; that of an object of parts may be one of their checksums.
    pub crc32c: Option<String>,
}

/// The interval that an archive covers. It is kept beside the object itself, so that a run that lost
/// its checkpoint knows what the archive is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct DateRange {
    pub from: Timestamp,
    pub to: Timestamp,
}

impl DateRange {
    /// Under which names the store keeps the two.
    pub(crate) const NAMES: [&'static str; 2] = ["offboarder-date-from", "offboarder-date-to"];

    /// The values under those names.
    pub(crate) fn values(&self) -> [String; 2] {
        [self.from.to_string(), self.to.to_string()]
    }

    /// Reads the values back; `None` unless both are there and are times.
    pub(crate) fn parse(from: Option<&str>, to: Option<&str>) -> Option<Self> {
        Some(Self {
            from: from?.parse().ok()?,
            to: to?.parse().ok()?,
        })
    }
}

/// An object that a listing shows.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Listed {
    pub key: ObjectKey,
    /// When it was last written, by the store's own clock.
    pub modified: Timestamp,
}

/// The bytes of an object, as they come.
pub(crate) type Chunks = BoxStream<'static, Result<Bytes, Failure>>;

/// One version of an object, or a delete marker: what hides the versions before it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Version {
    pub key: ObjectKey,
    /// Its ID, where the store keeps versions.
    pub id: Option<String>,
    /// It is a delete marker, and has no bytes.
    pub deletes: bool,
    /// It is the newest of its key: what a read without a version finds.
    pub latest: bool,
}

/// Versions of objects, as they are listed.
pub(crate) type Versions = BoxStream<'static, Result<Version, Failure>>;

/// The size that part `number` (from 1) has at least, unless it is the last: 6 MiB at first, doubling every 1,000 parts, so that 10,000
/// parts (the most that S3 takes) hold more than its largest object, and the first 6 GB cost
/// little memory. See "Amazon S3 multipart upload limits" in the S3 user guide.
pub(crate) fn part_size_bytes(number: u32) -> usize {
    const FIRST: usize = 6 * 1024 * 1024;
    let doublings = number.saturating_sub(1) / 1_000;
    FIRST.saturating_mul(1_usize.checked_shl(doublings).unwrap_or(usize::MAX))
}

/// Where archives, seals and manifests live. Objects are written once and never changed.
#[async_trait]
pub(crate) trait ArchiveStore: Send + Sync {
    /// Bucket URL or directory, as manifests name it.
    fn location(&self) -> String;

    /// The codes by which records of ours are known among whatever else is stored here.
    fn integrity(&self) -> &Integrity;

    /// The whole key that `key` stands for, prefix included, as manifests name it.
    fn full_key(&self, key: &ObjectKey) -> String;

    /// Stores a small object at once, unless one is there. A document of ours (no `span`) is read back where the
    /// store does not refuse wrong checksums. A crash in the middle leaves nothing, or the whole object.
    async fn put_once(
        &self,
        key: &ObjectKey,
        body: Bytes,
        span: Option<&DateRange>,
    ) -> Result<PutOnce, Failure>;

    /// Begins an object of many parts. Nothing is visible before [`Self::complete`]. A crash right after
    /// it leaves an upload that nobody knows of: see [`Self::uploads`].
    async fn begin(&self, key: &ObjectKey, span: &DateRange) -> Result<UploadId, Failure>;

    /// The uploads of this key that were begun and neither completed nor aborted.
    async fn uploads(&self, key: &ObjectKey) -> Result<Vec<UploadId>, Failure>;

    /// Stores one part; storing the same number again replaces it.
    /// `offset_bytes` is where it begins in the whole object, since parts differ in size.
    async fn put_part(
        &self,
        key: &ObjectKey,
        upload: &UploadId,
        number: u32,
        offset_bytes: u64,
        body: Bytes,
    ) -> Result<Part, Failure>;

    /// Makes the object visible, whole, unless one is there.
    async fn complete(
        &self,
        key: &ObjectKey,
        upload: &UploadId,
        parts: &[Part],
    ) -> Result<PutOnce, Failure>;

    /// Whether a probe of this process saw the store refuse a wrong checksum, of an object and of a part. Only
    /// then the checksum that it returns proves what arrived; otherwise what was stored is read back.
    fn refuses_wrong_checksums(&self) -> bool;

    /// Gives an upload up. One that is gone already is no error.
    async fn abort(&self, key: &ObjectKey, upload: &UploadId) -> Result<(), Failure>;

    /// Looks at an object, at one version where `version_id` says so.
    async fn find(
        &self,
        key: &ObjectKey,
        version_id: Option<&str>,
    ) -> Result<Option<Found>, Failure>;

    /// The objects whose keys begin with this, in any order.
    async fn list(&self, prefix: &str) -> Result<Vec<Listed>, Failure>;

    /// The keys that begin with this, in any order.
    async fn keys(&self, prefix: &str) -> Result<Vec<ObjectKey>, Failure> {
        Ok(self
            .list(prefix)
            .await?
            .into_iter()
            .map(|listed| listed.key)
            .collect())
    }

    /// The keys that begin with this and whose newest version is a delete marker: no listing shows them. Empty
    /// where the store keeps no versions. A store that answers that it does not know `ListObjectVersions`
    /// (`NotImplemented`) keeps none; every other refusal is an `Err`, since the keys stay unknown then.
    async fn hidden(&self, prefix: &str) -> Result<Vec<ObjectKey>, Failure>;

    /// Every version of the keys that begin with this, those that a delete marker hides too; the newest of
    /// a key comes before its others.
    fn versions(&self, prefix: &str) -> Versions;

    /// Reads a small object; `Err` when it is over `max_bytes`.
    async fn read(&self, key: &ObjectKey, max_bytes: usize) -> Result<Option<Bytes>, Failure>;

    /// Reads the stored bytes back as a stream.
    async fn stream(
        &self,
        key: &ObjectKey,
        version_id: Option<&str>,
    ) -> Result<Option<Chunks>, Failure>;

    /// Proves that the store can be written, read and listed, and does not overwrite. Until it has passed once
    /// in this process, it tests everything that we rely on; later ones, which an outage asks for every few
    /// seconds, are shorter. Leaves a few small objects, `_offboarder_probe*`, which later probes find.
    async fn probe(&self) -> Result<(), Failure>;
}
