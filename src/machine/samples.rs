//! Samples of evidence for tests that need some and do not care which.

use jiff::Timestamp;

use super::{
    AccessRemoved, Archive, Cancelled, Deletion, DeletionOutcome, ManifestRef, QueuesCleared,
    Recording, Seal, Sealing, State,
};

/// An archive of nothing, over an empty history.
pub(crate) const fn empty_archive(at: Timestamp) -> Archive {
    Archive {
        location: String::new(),
        key: String::new(),
        version_id: None,
        bytes: 0,
        conversations: 0,
        pages: 0,
        sha256: String::new(),
        date_from: at,
        date_to: at,
        retention: None,
        etag: None,
        crc32c: None,
        quiet_until: None,
    }
}

/// No queue names the user; with `confirmed: false`, some may.
pub(crate) const fn queues_cleared(confirmed: bool) -> QueuesCleared {
    QueuesCleared {
        confirmed,
        residual: Vec::new(),
        agent: None,
    }
}

/// The account is inactive.
pub(crate) const fn access_removed(at: Timestamp) -> AccessRemoved {
    AccessRemoved {
        queues: queues_cleared(true),
        scim_active: Some(false),
        at,
        sessions_ended_at: None,
    }
}

/// An operator cancelled every request of the user.
pub(crate) fn cancelled(at: Timestamp) -> Cancelled {
    Cancelled {
        at,
        who: "ada".to_owned(),
        why: None,
        batch_id: None,
        message_due: None,
        reactivation: None,
    }
}

pub(crate) const fn empty_manifest() -> ManifestRef {
    ManifestRef {
        key: String::new(),
        sha256: String::new(),
    }
}

pub(crate) const fn empty_seal(at: Timestamp) -> Seal {
    Seal {
        key: String::new(),
        at,
    }
}

pub(crate) const fn archived(at: Timestamp, sealing: Sealing) -> State {
    State::Archived {
        access: access_removed(at),
        archive: empty_archive(at),
        sealing,
    }
}

pub(crate) const fn deleted(at: Timestamp, recording: Recording) -> State {
    State::Deleted {
        access: access_removed(at),
        archive: empty_archive(at),
        deletion: Deletion::without_call(DeletionOutcome::Deleted),
        recording,
    }
}

pub(crate) const fn deactivated_only(at: Timestamp, recording: Recording) -> State {
    State::DeactivatedOnly {
        access: access_removed(at),
        archive: empty_archive(at),
        deletion: Deletion::without_call(DeletionOutcome::Deleted),
        recording,
    }
}

/// `Deleted`, with a stored manifest.
pub(crate) const fn finished(at: Timestamp) -> State {
    let recording = Recording::Recorded {
        manifest: empty_manifest(),
    };
    deleted(at, recording)
}
