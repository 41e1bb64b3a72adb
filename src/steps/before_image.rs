//! Keeps what a user has before the first write, where one may still go back: `offboarder reactivate` gives it back.

use bytes::Bytes;

use super::documents::{MAX_DOCUMENT_BYTES, conflict, to_bytes};
use super::{Services, Stopped};
use crate::failure::Failure;
use crate::integrity::Purpose;
use crate::job::UserId;
use crate::machine::Checkpoint;
use crate::manifest::{BeforeImage, Kind, ObjectKey, before_key, parse_key};
use crate::ports::{ArchiveStore, PutOnce};

/// Stores the before-image of this off-boarding, if time passes until the deletion and none is stored. An image that is
/// there stays: a second run would record a user who was emptied.
pub(super) async fn keep_before_image(
    services: &Services,
    checkpoint: &mut Checkpoint,
) -> Result<(), Stopped> {
    let now = services.clock.now();
    let has_time = services.guards.leaves_time(&checkpoint.request, now);
    if checkpoint.before_image || !has_time {
        return Ok(());
    }

    let store = &*services.archive_store;
    let user_id = checkpoint.user_id;
    let revision = checkpoint.evidence_revision;
    let keys = store.keys(&user_id.to_string()).await?;
    let stored = Images::of(user_id, &keys);
    if !stored.before.contains(&revision) {
        let possessions = match stored.unfinished_before(revision) {
            Some(earlier) => Some(read_image(store, user_id, earlier).await?.possessions),
            None => services.tenant.possessions(user_id).await?,
        };
        let Some(possessions) = possessions else {
            // There is no such user, and nothing is written.
            return Ok(());
        };
        let image = BeforeImage {
            schema_version: 1,
            user_id,
            profile: checkpoint.profile,
            revision,
            at: now,
            possessions,
        };
        put(store, &image).await?;
    }
    checkpoint.before_image = true;
    Ok(())
}

async fn put(store: &dyn ArchiveStore, image: &BeforeImage) -> Result<(), Failure> {
    let key = before_key(image.user_id, image.revision);
    let body = store
        .integrity()
        .sign(Purpose::Before, key.as_str(), to_bytes(image)?);
    match store.put_once(&key, Bytes::from(body), None).await? {
        // Also our own write, whose answer was lost.
        PutOnce::Stored(_) | PutOnce::AlreadyThere => Ok(()),
    }
}

/// The image of this revision.
pub(crate) async fn read_image(
    store: &dyn ArchiveStore,
    user_id: UserId,
    revision: u32,
) -> Result<BeforeImage, Failure> {
    let key = before_key(user_id, revision);
    let full_key = store.full_key(&key);
    let stored = store.read(&key, MAX_DOCUMENT_BYTES).await?;
    let stored = stored.ok_or_else(|| conflict(&full_key, "the before-image is gone"))?;
    let image: BeforeImage = store
        .integrity()
        .open(Purpose::Before, key.as_str(), &stored)
        .map_err(|untrusted| conflict(&full_key, &untrusted.to_string()))?;
    Some(image)
        .filter(|image| image.user_id == user_id && image.revision == revision)
        .ok_or_else(|| {
            conflict(
                &full_key,
                "the before-image of another user is stored there",
            )
        })
}

/// Which before-images of a user are stored, and which of those off-boardings came to an end.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Images {
    /// Revisions with a before-image.
    pub(crate) before: Vec<u32>,
    /// Revisions of which something else is decided or done: a manifest, or a reactivation that came to its end.
    ended: Vec<u32>,
    /// Tries of reactivations, by revision.
    tries: Vec<(u32, u32)>,
    pub(crate) fates: Vec<u32>,
}

impl Images {
    pub(crate) fn of(user_id: UserId, keys: &[ObjectKey]) -> Self {
        let mut all = Self::default();
        let known = keys.iter().filter_map(|key| parse_key(user_id, key));
        for (kind, revision) in known {
            match kind {
                Kind::Before => all.before.push(revision),
                Kind::Fate => all.fates.push(revision),
                Kind::Audit => all.ended.push(revision),
                Kind::Reactivated(number) => {
                    all.ended.push(revision);
                    all.tries.push((revision, number));
                }
                Kind::Archive | Kind::Sealed => {}
            }
        }
        all
    }

    /// The last image.
    pub(crate) fn last(&self) -> Option<u32> {
        self.before.iter().copied().max()
    }

    /// The number of the last try to reactivate the user of a revision.
    pub(crate) fn last_try(&self, revision: u32) -> Option<u32> {
        let tries = self.tries.iter().filter(|(of, _)| *of == revision);
        tries.map(|(_, number)| *number).max()
    }

    /// The last image before `revision`, if nothing shows that its user got anything back, or ended: what the user has
    /// now is what that off-boarding left.
    fn unfinished_before(&self, revision: u32) -> Option<u32> {
        let earlier = self.before.iter().copied();
        let last = earlier.filter(|image| *image < revision).max()?;
        (!self.ended.contains(&last)).then_some(last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::{audit_key, reactivated_key};

    #[test]
    fn an_image_is_taken_over_only_from_an_off_boarding_that_did_not_end() {
        let user: UserId = "3f1f0d4e-9a51-4b4b-8f6c-1f9a4f9b7c11".parse().unwrap();
        let earlier = |keys: &[ObjectKey]| Images::of(user, keys).unfinished_before(3);
        let image = before_key(user, 2);
        assert_eq!(earlier(&[]), None);
        assert_eq!(earlier(&[before_key(user, 3)]), None);
        assert_eq!(earlier(std::slice::from_ref(&image)), Some(2));
        assert_eq!(earlier(&[image.clone(), audit_key(user, 1)]), Some(2));
        assert_eq!(earlier(&[image.clone(), audit_key(user, 2)]), None);
        assert_eq!(earlier(&[image, reactivated_key(user, 2, 1)]), None);
    }
}
