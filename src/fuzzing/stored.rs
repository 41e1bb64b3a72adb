//! What stores return: objects of the bucket and values of Redis, which anyone with write access
//! may have forged.

#![expect(clippy::expect_used, reason = "a panic is what a fuzz target reports")]

use std::fmt::Debug;
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::archive::{begin_of, interval_is_as_asked, may_continue};
use crate::fuzzing::USER_ID;
use crate::guards::Hold;
use crate::job::UserId;
use crate::machine::{Archive, ArchiveInProgress};
use crate::manifest::{
    Kind, Manifest, SealDocument, archive_key, audit_key, before_key, fate_key, parse_key,
    reactivated_key, sealed_key,
};
use crate::operations::batches::Summary;
use crate::operations::verify::{faults_of_manifest, faults_of_seal};
use crate::ports::DateRange;
use crate::ports::{ObjectKey, Part, ReplayNote, crc32c_of_parts};
use crate::registers::PauseRecord;
use crate::registers::audit_log::AuditEntry;

const HISTORY: Duration = Duration::from_hours(24 * 365);

/// A seal, a manifest, a hold, a pause, an entry of the audit log, the progress of an archive, a
/// summary or the note of a replay; otherwise the metadata or the key of an object. What can be
/// read can be written and read again unchanged, and the checks of it do not panic.
pub fn stored(body: &[u8]) -> bool {
    let user_id: UserId = USER_ID.parse().expect("a user ID");
    let seal = read::<SealDocument>(body);
    if let Some(seal) = &seal {
        let faults = faults_of_seal(seal, body, user_id, 1, &[]);
        assert!(
            seal.user_id == user_id || !faults.is_empty(),
            "the seal of another user"
        );
        assert_assessed(&seal.archive, seal.access.at);
    }
    let manifest = read::<Manifest>(body);
    if let Some(manifest) = &manifest {
        let faults = faults_of_manifest(manifest, body, user_id, 1);
        assert!(
            manifest.user_id == user_id || !faults.is_empty(),
            "the manifest of another user"
        );
        assert_assessed(&manifest.archive.archive, manifest.timestamp);
    }
    let progress = read::<ArchiveInProgress>(body);
    if let Some(progress) = &progress {
        for now in [Timestamp::UNIX_EPOCH, progress.date_to, Timestamp::MAX] {
            assert_continues(progress, progress.date_to, now);
            assert_continues(progress, now, now);
        }
        let parts: &[Part] = progress.upload.as_ref().map_or(&[], |upload| &upload.parts);
        assert!(crc32c_of_parts(parts).len() <= 2);
    }
    let small = [
        read::<Hold>(body).is_some(),
        read::<PauseRecord>(body).is_some(),
        read::<AuditEntry>(body).is_some(),
        read::<Summary>(body).is_some(),
        read::<ReplayNote>(body).is_some(),
    ];
    let text = String::from_utf8_lossy(body);
    let named = span(&text) | key(user_id, &text);
    seal.is_some() || manifest.is_some() || progress.is_some() || small.contains(&true) || named
}

fn read<T: Serialize + DeserializeOwned + PartialEq + Debug>(body: &[u8]) -> Option<T> {
    let read: T = serde_json::from_slice(body).ok()?;
    let written = serde_json::to_vec(&read).expect("what was read can be stored");
    let again: T = serde_json::from_slice(&written).expect("and is read again");
    assert_eq!(again, read);
    Some(read)
}

/// An interval that counts as requested reaches from the start of the history to the end of access.
fn assert_assessed(archive: &Archive, access_at: Timestamp) {
    for now in [Timestamp::MIN, access_at, Timestamp::MAX] {
        if interval_is_as_asked(archive, access_at, HISTORY, now).is_ok() {
            assert!(access_at.duration_since(archive.covers_until()).as_secs() <= 60);
            assert!(archive.covers_until().duration_since(now).as_secs() <= 60);
        }
    }
}

/// An archive that may be continued covers the history up to the end of access.
fn assert_continues(progress: &ArchiveInProgress, access_at: Timestamp, now: Timestamp) {
    if may_continue(progress, access_at, HISTORY, progress.window_days, now) {
        assert_eq!(progress.date_from, begin_of(progress.date_to, HISTORY));
        assert!(access_at.duration_since(progress.date_to).as_secs() <= 60);
    }
}

fn span(text: &str) -> bool {
    let mut lines = text.lines();
    let Some(span) = DateRange::parse(lines.next(), lines.next()) else {
        return false;
    };
    let [from, to] = span.values();
    assert_eq!(DateRange::parse(Some(&from), Some(&to)), Some(span));
    true
}

/// A key of ours has only one spelling.
fn key(user_id: UserId, text: &str) -> bool {
    let key = ObjectKey(text.trim_end_matches('\n').to_owned());
    if let Some((kind, revision)) = parse_key(user_id, &key) {
        let name = match kind {
            Kind::Archive => archive_key(user_id, revision),
            Kind::Sealed => sealed_key(user_id, revision),
            Kind::Audit => audit_key(user_id, revision),
            Kind::Before => before_key(user_id, revision),
            Kind::Fate => fate_key(user_id, revision),
            Kind::Reactivated(number) => reactivated_key(user_id, revision, number),
        };
        assert_eq!(name, key);
        return true;
    }
    false
}
