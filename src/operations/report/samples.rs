//! A directory with what off-boardings of all kinds leave behind.

use std::path::Path;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use sha2::{Digest as _, Sha256};

use super::{Reporter, Row, Strangers, Wanted};
use crate::adapters::directory::DirectoryStore;
use crate::clock::Clock;
use crate::failure::Failure;
use crate::job::{Approval, Request, UserId};
use crate::machine::samples::{access_removed, empty_archive};
use crate::machine::{
    Archive, Deletion, DeletionOutcome, LegalHold, ManifestRef, StateName, StepRecord,
};
use crate::manifest::{
    Actor, ArchiveMember, Manifest, SealDocument, Status, archive_key, audit_key, sealed_key,
};
use crate::operations::holds::Holds;
use crate::operations::verify::{Schema, Verifier};
use crate::ports::ArchiveStore;
use crate::profile::TenantProfile;
use crate::registers::audit_log::{AuditLog, Change, Operator};
use crate::registers::{StopAct, give_order};

pub(crate) const TARGET: SignedDuration = SignedDuration::from_mins(15);

/// The time of the first request, and a time after it.
pub(crate) fn after(minutes: i64) -> Timestamp {
    let first: Timestamp = "2026-10-05T08:00:00Z".parse().unwrap();
    first + SignedDuration::from_mins(minutes)
}

pub(crate) fn user(number: u8) -> UserId {
    let text = format!(
        "{:x}4a99e63-5a51-4b4b-8f6c-1f9a4f9b7c{number:02x}",
        number % 16
    );
    text.parse().unwrap()
}

pub(crate) fn wanted() -> Wanted {
    Wanted {
        since: after(-60),
        until: after(24 * 60),
        batch: None,
        target: TARGET,
    }
}

pub(crate) struct Leaver {
    pub(crate) user_id: UserId,
    pub(crate) request: Request,
    /// Minutes after the first request.
    pub(crate) gone: i64,
}

impl Leaver {
    pub(crate) fn new(number: u8, gone: i64) -> Self {
        let request = Request {
            requested_by: Some("hr".to_owned()),
            reason: Some("left".to_owned()),
            batch_id: Some("q4".parse().unwrap()),
            requested_at: Some(after(0)),
            received_at: Some(after(1)),
            ..Request::default()
        };
        Self {
            user_id: user(number),
            request,
            gone,
        }
    }

    fn steps(&self, end: Option<StateName>) -> Vec<StepRecord> {
        let way = [
            StateName::QueuesCleared,
            StateName::Deactivated,
            StateName::Archived,
        ];
        let states = way.into_iter().chain(end);
        let step = |state| StepRecord {
            state,
            started_at: after(self.gone),
            completed_at: after(self.gone),
            attempts: 1,
            calls: Vec::new(),
        };
        states.map(step).collect()
    }

    fn archive(&self) -> Archive {
        Archive {
            location: "s3://evidence".to_owned(),
            key: archive_key(self.user_id, 1).0,
            bytes: 4096,
            conversations: 3,
            pages: 1,
            sha256: "5e".repeat(32),
            date_to: after(self.gone),
            ..empty_archive(Timestamp::UNIX_EPOCH)
        }
    }

    pub(crate) fn store_archive(&self, place: &Path) {
        let name = archive_key(self.user_id, 1).0;
        std::fs::write(place.join(name), "[\n]\n").unwrap();
    }

    pub(crate) fn store_seal(&self, place: &Path) {
        let seal = SealDocument {
            schema_version: 1,
            user_id: self.user_id,
            profile: TenantProfile::default(),
            revision: 1,
            sealed_at: after(self.gone),
            request: self.request.clone(),
            steps: self.steps(None),
            access: access_removed(after(self.gone)),
            archive: self.archive(),
            workers: Vec::new(),
        };
        let name = sealed_key(self.user_id, 1).0;
        std::fs::write(place.join(name), serde_json::to_vec_pretty(&seal).unwrap()).unwrap();
    }

    /// The manifest of a revision.
    pub(crate) fn store_manifest(
        &self,
        place: &Path,
        (revision, deletion, why): (u32, Deletion, Option<&str>),
        previous: Option<ManifestRef>,
    ) -> ManifestRef {
        let is_deleted = deletion.outcome == DeletionOutcome::Deleted;
        let (status, end) = if is_deleted {
            (Status::Deleted, StateName::Deleted)
        } else {
            (Status::DeactivatedOnly, StateName::DeactivatedOnly)
        };
        let manifest = Manifest {
            user_id: self.user_id,
            timestamp: after(self.gone),
            status,
            error: why.map(str::to_owned),
            scim_active: Some(false),
            sessions_ended_at: None,
            queue_assignments_cleared: true,
            interactions_archived: true,
            schema_version: 1,
            profile: TenantProfile::default(),
            revision,
            previous,
            request: self.request.clone(),
            steps: self.steps(Some(end)),
            archive: ArchiveMember {
                complete: true,
                archive: self.archive(),
            },
            not_archived: Vec::new(),
            deletion,
            residual: Vec::new(),
            actor: Actor {
                version: "0.0.0".to_owned(),
                ..Actor::new("a test")
            },
            workers: Vec::new(),
        };
        let bytes = manifest.to_bytes().unwrap();
        let key = audit_key(self.user_id, revision).0;
        std::fs::write(place.join(&key), &bytes).unwrap();
        ManifestRef {
            key,
            sha256: hex::encode(Sha256::digest(&bytes)),
        }
    }

    /// Everything of a user who is deleted.
    pub(crate) fn store_whole(&self, place: &Path) -> ManifestRef {
        self.store_archive(place);
        self.store_seal(place);
        self.store_manifest(place, deleted(), None)
    }
}

pub(crate) fn deleted() -> (u32, Deletion, Option<&'static str>) {
    (1, Deletion::without_call(DeletionOutcome::Deleted), None)
}

/// The answer that a tenant gave to the DELETE of this user.
pub(crate) fn refused() -> (u32, Deletion, Option<&'static str>) {
    let deletion = Deletion {
        status: Some(409),
        code: Some("compliance_hold".to_owned()),
        ..Deletion::without_call(DeletionOutcome::Refused)
    };
    let why = "the API refused the deletion of this user with 409 (compliance_hold)";
    (1, deletion, Some(why))
}

fn approval(person: &str, role: &str, break_glass: bool) -> Approval {
    Approval {
        person: person.to_owned(),
        role: role.to_owned(),
        at: Timestamp::UNIX_EPOCH,
        break_glass,
    }
}

/// One of each kind: deleted in time, refused and late, on hold, sealed, archived, discarded, one before the period, and
/// cancelled.
pub(crate) async fn population(place: &Path) {
    let mut approved = Leaver::new(1, 2);
    approved.request.plan = "5e".repeat(32).parse().ok();
    approved.request.approvals = vec![approval("bob", "approver", false)];
    approved.store_whole(place);
    let mut late = Leaver::new(2, 40);
    late.request.requested_by = Some("<b>=HYPERLINK(1)</b>".to_owned());
    late.request.reason = Some("=1+1\u{202e}".to_owned());
    late.request.plan = "5f".repeat(32).parse().ok();
    late.request.approvals = vec![approval("root", "admin", true)];
    late.store_archive(place);
    late.store_seal(place);
    late.store_manifest(place, refused(), None);
    let held = Leaver::new(3, 15);
    held.store_archive(place);
    let by_counsel = LegalHold {
        who: "counsel".to_owned(),
        why: Some("case 4711".to_owned()),
        at: Some(after(1)),
    };
    let why = by_counsel.to_string();
    let deletion = Deletion::held(by_counsel);
    held.store_manifest(place, (1, deletion, Some(&why)), None);
    let sealed = Leaver::new(4, 3);
    sealed.store_archive(place);
    sealed.store_seal(place);
    Leaver::new(5, 3).store_archive(place);
    let copy = serde_json::json!({
        "letter": {
            "userId": user(6), "batchId": "q4", "reason": "user_not_found", "error": "no such user",
            "deadLetteredAt": after(7),
        },
        "body": format!(r#"{{"userId":"{}","requestedBy":"hr","requestedAt":"{}","batchId":"q4"}}"#, user(6), after(5)),
        "discarded": { "at": after(90), "who": "ada", "why": "left in 2019" },
    });
    std::fs::write(place.join("_dead_letter_00.json"), copy.to_string()).unwrap();
    let mut earlier = Leaver::new(7, 2);
    earlier.request.requested_at = Some(after(-61));
    earlier.store_whole(place);

    let store: Arc<dyn ArchiveStore> = Arc::new(DirectoryStore::open(place).unwrap());
    let operator = Operator {
        who: "ada".to_owned(),
        why: Some("case 4711".to_owned()),
    };
    let no_checkpoints = Failure::internal("no checkpoints", "none are needed");
    let holds = Holds {
        store: &store,
        checkpoints: Err(&no_checkpoints),
        clock: &Clock::starting_at(after(10)),
    };
    holds.change(&[user(3)], true, &operator).await;
    cancel(place, 8, after(20)).await;
}

/// An operator cancels what was asked for until then.
pub(crate) async fn cancel(place: &Path, number: u8, at: Timestamp) {
    let store: Arc<dyn ArchiveStore> = Arc::new(DirectoryStore::open(place).unwrap());
    let operator = Operator {
        who: "ada".to_owned(),
        why: Some("comes back".to_owned()),
    };
    let log = AuditLog::new(Arc::clone(&store), Clock::starting_at(at));
    let change = Change {
        what: "cancel",
        count: 1,
        details: serde_json::Value::Null,
    };
    let recorded = log.record(&operator, change).await.unwrap();
    let users = vec![user(number)];
    let act = StopAct::CancelUsers { users };
    give_order(&*store, act, &recorded, at).await.unwrap();
}

pub(crate) async fn reporter(place: &Path, wanted: Wanted) -> Reporter {
    let verifier = Verifier {
        store: Arc::new(DirectoryStore::open(place).unwrap()),
        schema: Schema::new(),
        downloaded: true,
    };
    Reporter::open(verifier, wanted, Strangers::new(), after(48 * 60))
        .await
        .unwrap()
}

/// All rows of the report.
pub(crate) async fn rows(place: &Path, wanted: Wanted) -> Vec<Row> {
    let mut reporter = reporter(place, wanted).await;
    let mut rows = Vec::new();
    for digit in super::PARTS.chars() {
        let read = reporter.part(digit, |row| {
            rows.push(row.clone());
            Ok(())
        });
        read.await.unwrap();
    }
    rows
}
