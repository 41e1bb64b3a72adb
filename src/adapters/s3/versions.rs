//! Versions of objects, and the delete markers that hide them.

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use jiff::Timestamp;

use super::error::S3Error;
use super::listing::Listing;
use crate::failure::Failure;
use crate::ports::{ObjectKey, Version, Versions};

/// Where a page begins: S3's key marker and version marker.
type Marker = (Option<String>, Option<String>);

impl Listing {
    /// Reads a page when the one before it is used up.
    pub(super) fn versions(self) -> Versions {
        let pages = stream::try_unfold(
            (self, Some(Marker::default())),
            |(listing, from)| async move {
                let Some(from) = from else { return Ok(None) };
                let is_first = from == Marker::default();
                let (versions, next) = match listing.page(from).await {
                    Err(S3Error::NotImplemented { .. }) if is_first => {
                        (listing.newest().await?, None)
                    }
                    page => page?,
                };
                Ok::<_, Failure>(Some((
                    stream::iter(versions.into_iter().map(Ok)),
                    (listing, next),
                )))
            },
        );
        pages.try_flatten().boxed()
    }

    /// The keys whose newest version is a delete marker.
    pub(super) async fn hidden(self) -> Result<Vec<ObjectKey>, Failure> {
        let mut keys = Vec::new();
        let mut from = Marker::default();
        loop {
            let is_first = from == Marker::default();
            let (versions, next) = match self.page(from).await {
                Ok(page) => page,
                // The probe saw that such a store keeps no versions, so no delete marker can hide a key.
                Err(S3Error::NotImplemented { .. }) if is_first => return Ok(keys),
                Err(error) => return Err(error.into()),
            };
            keys.extend(
                versions
                    .into_iter()
                    .filter(|one| one.deletes && one.latest)
                    .map(|one| one.key),
            );
            let Some(next) = next else { return Ok(keys) };
            from = next;
        }
    }

    /// The keys that a read finds, and those that a delete marker hides: of each, the newest version.
    pub(super) async fn shown_and_hidden(
        self,
    ) -> Result<(Vec<ObjectKey>, Vec<ObjectKey>), Failure> {
        let newest = self
            .versions()
            .try_filter(|one| std::future::ready(one.latest));
        let newest: Vec<Version> = newest.try_collect().await?;
        let (hidden, shown): (Vec<_>, Vec<_>) = newest.into_iter().partition(|one| one.deletes);
        let keys = |versions: Vec<Version>| versions.into_iter().map(|one| one.key).collect();
        Ok((keys(shown), keys(hidden)))
    }

    /// What a read finds, from a store that lists no versions.
    async fn newest(&self) -> Result<Vec<Version>, S3Error> {
        let newest = self.objects().await?.into_iter().map(|listed| Version {
            key: listed.key,
            id: None,
            deletes: false,
            latest: true,
            older_unknown: true,
            modified: Some(listed.modified),
        });
        Ok(newest.collect())
    }

    /// Whether the store lists versions at all.
    pub(super) async fn has_versions(&self) -> Result<bool, S3Error> {
        match self.page(Marker::default()).await {
            Ok(_) => Ok(true),
            Err(S3Error::NotImplemented { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn page(
        &self,
        (key, version): Marker,
    ) -> Result<(Vec<Version>, Option<Marker>), S3Error> {
        let page = self
            .client
            .list_object_versions()
            .bucket(&self.bucket)
            .prefix(&self.prefix)
            .set_key_marker(key.clone())
            .set_version_id_marker(version.clone())
            .send()
            .await
            .map_err(|error| {
                S3Error::of(
                    &error,
                    format!("list the versions of s3://{}/{}", self.bucket, self.prefix),
                )
            })?;
        let listed = page.versions.unwrap_or_default().into_iter();
        let listed = listed.map(|one| {
            (
                one.key,
                one.version_id,
                one.is_latest,
                one.last_modified,
                false,
            )
        });
        let markers = page.delete_markers.unwrap_or_default().into_iter();
        let markers = markers.map(|one| {
            (
                one.key,
                one.version_id,
                one.is_latest,
                one.last_modified,
                true,
            )
        });
        let versions = listed
            .chain(markers)
            .filter_map(|(key, id, latest, modified, deletes)| {
                let key = ObjectKey(key?.strip_prefix(&self.root)?.to_owned());
                // `null` is the ID of an object that was stored before the bucket kept versions.
                Some(Version {
                    key,
                    id: id.filter(|id| id != "null"),
                    deletes,
                    latest: latest != Some(false),
                    older_unknown: false,
                    modified: modified.and_then(|at| Timestamp::from_second(at.secs()).ok()),
                })
            });
        let next = (page.next_key_marker, page.next_version_id_marker);
        let more = page.is_truncated == Some(true);

        // The listing would begin again, and never end.
        if more && (next.0.is_none() || next == (key, version)) {
            let what = format!("list the versions of s3://{}/{}", self.bucket, self.prefix);
            let said = "there is more, and the answer does not say where it begins".to_owned();
            return Err(S3Error::Rejected {
                what,
                status: 200,
                said,
            });
        }
        Ok((versions.collect(), more.then_some(next)))
    }
}
