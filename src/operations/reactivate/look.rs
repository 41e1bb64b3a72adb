//! Whether a user can be reactivated, before anything is changed.

use super::known::{decided, deleted, record_of};
use super::report::{Refusal, UserReactivated};
use crate::failure::Failure;
use crate::job::UserId;
use crate::machine::{Checkpoint, State};
use crate::manifest::{Fate, reactivated_key};
use crate::steps::{Images, Services, read_fate};

pub(super) enum Look {
    /// The before-image of this revision says what to give back.
    Possible(u32),
    /// There is nothing to do, or nothing that may be done.
    Ended(Box<UserReactivated>),
}

/// What is left without a before-image.
const NO_IMAGE: &str = "no before-image is stored of this off-boarding, so that nothing can be given back: when it began, \
                        neither OFFBOARDER_GUARD_DELETE_GRACE nor deleteAfter left time to go back. `offboarder cancel` \
                        stops it; what was taken is in the calls of its manifest, and has to be given back by hand";

pub(super) async fn look(services: &Services, user_id: UserId) -> Result<Look, Failure> {
    let refused = |refusal, why: String| {
        let user = UserReactivated::refused(user_id, refusal, why);
        Ok(Look::Ended(Box::new(user)))
    };
    let store = &*services.archive_store;
    let keys = store.keys(&user_id.to_string()).await?;
    let images = Images::of(user_id, &keys);
    let checkpoint = services.checkpoints.read(user_id).await?;
    if let Some(why) = checkpoint.as_ref().and_then(deleted) {
        return refused(Refusal::Deleted, why);
    }

    let of_another = |image: u32| {
        let checkpoint = checkpoint.as_ref();
        checkpoint.is_some_and(|one| one.evidence_revision > image && has_begun(one))
    };
    let Some(revision) = images.last().filter(|image| !of_another(*image)) else {
        return refused(Refusal::NoBeforeImage, NO_IMAGE.to_owned());
    };
    match read_fate(store, user_id, revision).await? {
        Some(fate) if fate.fate == Fate::Delete => {
            return refused(Refusal::DeletionDecided, decided(fate.at));
        }
        Some(_reactivate) => {
            let last = images.last_try(revision);
            if let Some(number) = last
                && let Some(record) = record_of(store, user_id, revision, number).await?
                && record.not_given_back.is_empty()
            {
                let key = reactivated_key(user_id, revision, number);
                let user = UserReactivated::already(record, store.full_key(&key));
                return Ok(Look::Ended(Box::new(user)));
            }
        }
        None => {}
    }
    Ok(Look::Possible(revision))
}

/// Whether this off-boarding took anything from the user.
fn has_begun(checkpoint: &Checkpoint) -> bool {
    checkpoint.state != State::Received || !checkpoint.step.calls.is_empty()
}
