use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use super::holdings::{Holdings, holdings};
use super::{CheckpointEvidence, Schema, Verdict, Verifier, documents::faults_of_manifest};
use crate::adapters::directory::DirectoryStore;
use crate::job::{Request, UserId};
use crate::machine::samples::{access_removed, empty_archive};
use crate::machine::{
    Archive, Call, Deletion, DeletionOutcome, ManifestRef, StateName, StepRecord,
};
use crate::manifest::{
    Actor, ArchiveMember, Manifest, SealDocument, Status, archive_key, audit_key, sealed_key,
};
use crate::ports::ObjectKey;
use crate::profile::TenantProfile;

const ARCHIVE: &str = "[\n{\"conversationId\":\"a\"},\n{\"conversationId\":\"b\"} \n]\n";

fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

fn step(state: StateName) -> StepRecord {
    let at = Timestamp::constant(1_700_000_000, 0);
    StepRecord {
        state,
        started_at: at,
        completed_at: at,
        attempts: 1,
        calls: Vec::new(),
    }
}

fn way() -> [StepRecord; 3] {
    [
        StateName::QueuesCleared,
        StateName::Deactivated,
        StateName::Archived,
    ]
    .map(step)
}

fn user_id() -> UserId {
    "3f1f0d4e-9a51-4b4b-8f6c-1f9a4f9b7c11".parse().unwrap()
}

fn manifest(
    archive: &Archive,
    (revision, status, outcome, end): (u32, Status, DeletionOutcome, StateName),
    previous: Option<ManifestRef>,
) -> Manifest {
    Manifest {
        user_id: user_id(),
        timestamp: step(end).completed_at,
        status,
        error: (status == Status::DeactivatedOnly)
            .then(|| "the request was to deactivate".to_owned()),
        scim_active: Some(false),
        sessions_ended_at: None,
        queue_assignments_cleared: true,
        interactions_archived: true,
        schema_version: 1,
        profile: TenantProfile::default(),
        revision,
        previous,
        request: Request {
            requested_by: Some("hr".to_owned()),
            ..Request::default()
        },
        steps: way().into_iter().chain([step(end)]).collect(),
        archive: ArchiveMember {
            complete: true,
            archive: archive.clone(),
        },
        not_archived: Vec::new(),
        deletion: Deletion::without_call(outcome),
        residual: Vec::new(),
        actor: Actor::new("a test"),
        workers: Vec::new(),
    }
}

/// A user who was deactivated, and deleted later: two manifests, one archive, one seal.
struct Stored {
    directory: tempfile::TempDir,
    user_id: UserId,
    last: ManifestRef,
}

const REVISIONS: [(u32, Status, DeletionOutcome, StateName); 2] = [
    (
        1,
        Status::DeactivatedOnly,
        DeletionOutcome::NotRequested,
        StateName::DeactivatedOnly,
    ),
    (
        2,
        Status::Deleted,
        DeletionOutcome::Deleted,
        StateName::Deleted,
    ),
];

impl Stored {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = |key: &ObjectKey| directory.path().join(key.as_str());
        let user_id = user_id();
        let archive = Archive {
            location: "file:somewhere".to_owned(),
            key: archive_key(user_id, 1).as_str().to_owned(),
            bytes: ARCHIVE.len() as u64,
            conversations: 2,
            pages: 1,
            sha256: sha256(ARCHIVE.as_bytes()),
            date_to: Timestamp::constant(1_700_000_000, 0),
            ..empty_archive(Timestamp::UNIX_EPOCH)
        };
        std::fs::write(path(&archive_key(user_id, 1)), ARCHIVE).unwrap();
        let mut previous = None;
        for (revision, status, outcome, end) in REVISIONS {
            let key = audit_key(user_id, revision);
            let bytes = manifest(&archive, (revision, status, outcome, end), previous.take())
                .to_bytes()
                .unwrap();
            std::fs::write(path(&key), &bytes).unwrap();
            previous = Some(ManifestRef {
                key: key.as_str().to_owned(),
                sha256: sha256(&bytes),
            });
        }
        let seal = SealDocument {
            schema_version: 1,
            user_id,
            profile: TenantProfile::default(),
            revision: 1,
            sealed_at: Timestamp::constant(1_700_000_000, 0),
            request: Request {
                requested_by: Some("hr".to_owned()),
                ..Request::default()
            },
            steps: way().to_vec(),
            access: access_removed(Timestamp::constant(1_700_000_000, 0)),
            archive,
            workers: Vec::new(),
        };
        std::fs::write(
            path(&sealed_key(user_id, 1)),
            serde_json::to_vec_pretty(&seal).unwrap(),
        )
        .unwrap();
        Self {
            user_id,
            last: previous.unwrap(),
            directory,
        }
    }

    fn path(&self, key: &ObjectKey) -> PathBuf {
        self.directory.path().join(key.as_str())
    }

    fn verifier(&self) -> Verifier {
        let store = Arc::new(DirectoryStore::open(self.directory.path()).unwrap());
        Verifier {
            store,
            schema: Schema::new(),
            downloaded: false,
        }
    }

    async fn verdict(&self, verifier: &Verifier, known: &[&ManifestRef]) -> Verdict {
        let mut all = holdings(&*verifier.store, Some(self.user_id))
            .await
            .unwrap();
        let held = all.remove(&self.user_id).unwrap_or_else(Holdings::default);
        let manifests = known.iter().map(|known| (*known).clone()).collect();
        verifier
            .check(
                self.user_id,
                &held,
                &CheckpointEvidence {
                    manifests,
                    under_way: false,
                },
            )
            .await
            .unwrap()
    }
}

/// Flips one bit of every byte, one after the other; the bytes that nobody missed.
async fn unnoticed(stored: &Stored, path: &Path, known: &[&ManifestRef]) -> Vec<usize> {
    let whole = std::fs::read(path).unwrap();
    let mut unnoticed = Vec::new();
    for place in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[place] ^= 1;
        std::fs::write(path, bytes).unwrap();
        let verdict = stored.verdict(&stored.verifier(), known).await;
        let name = path.file_name().unwrap().to_str().unwrap();
        if !verdict
            .findings
            .iter()
            .any(|finding| finding.object == name || finding.text.contains(name))
        {
            unnoticed.push(place);
        }
    }
    std::fs::write(path, whole).unwrap();
    unnoticed
}

#[tokio::test]
async fn a_changed_byte_of_any_object_is_noticed_and_the_object_is_named() {
    let stored = Stored::new();
    let verdict = stored.verdict(&stored.verifier(), &[&stored.last]).await;
    assert_eq!(
        (
            verdict.findings.as_slice(),
            verdict.manifests,
            verdict.archives
        ),
        (&[][..], 2, 1)
    );
    for (key, known) in [
        (archive_key(stored.user_id, 1), vec![]),
        (audit_key(stored.user_id, 1), vec![]),
        // Nothing comes after the last manifest, so that the checkpoint has to know it.
        (audit_key(stored.user_id, 2), vec![&stored.last]),
    ] {
        assert_eq!(
            unnoticed(&stored, &stored.path(&key), &known).await,
            Vec::<usize>::new(),
            "{key:?}"
        );
    }
    // Only the seal says when it was sealed and when the access was removed.
    let path = stored.path(&sealed_key(stored.user_id, 1));
    let text = std::fs::read_to_string(&path).unwrap();
    for place in unnoticed(&stored, &path, &[]).await {
        let line = text[..place].lines().last().unwrap_or_default();
        assert!(
            line.contains("\"sealedAt\": \"") || line.contains("\"at\": \""),
            "byte {place}: {line}"
        );
        // What comes after "2023-11-14T22:1" changes a time by a minute at most.
        let before = line.rsplit('"').next().unwrap_or_default();
        assert!(
            line.contains("sealedAt") || before.len() >= 15,
            "byte {place}: {line}"
        );
    }
}

#[tokio::test]
async fn a_removed_object_is_missed_whichever_it_is() {
    for (end, kind) in [
        (".json", "ArchiveMissing"),
        ("_sealed.json", "SealMissing"),
        ("_audit.json", "ManifestMissing"),
        ("_audit.r2.json", "ManifestMissing"),
    ] {
        let stored = Stored::new();
        let name = format!("{}{end}", stored.user_id);
        std::fs::remove_file(stored.directory.path().join(&name)).unwrap();
        let verdict = stored.verdict(&stored.verifier(), &[&stored.last]).await;
        let found: Vec<String> = verdict
            .findings
            .iter()
            .map(|one| format!("{:?} {}", one.kind, one.object))
            .collect();
        assert_eq!(found, [format!("{kind} {name}")]);
    }
}

#[tokio::test]
async fn an_archive_without_a_manifest_is_under_way_if_the_checkpoint_says_so() {
    let stored = Stored::new();
    std::fs::remove_file(stored.path(&audit_key(stored.user_id, 1))).unwrap();
    std::fs::remove_file(stored.path(&audit_key(stored.user_id, 2))).unwrap();
    let verifier = stored.verifier();
    let verdict = stored.verdict(&verifier, &[]).await;
    assert!(!verdict.ok && !verdict.under_way, "{verdict:?}");
    let held = holdings(&*verifier.store, None)
        .await
        .unwrap()
        .remove(&stored.user_id)
        .unwrap();
    let witness = CheckpointEvidence {
        manifests: Vec::new(),
        under_way: true,
    };
    let verdict = verifier
        .check(stored.user_id, &held, &witness)
        .await
        .unwrap();
    assert!(verdict.ok && verdict.under_way, "{verdict:?}");
}

#[test]
fn what_is_against_the_schema_is_named_by_its_place_and_without_its_value() {
    let stored = Stored::new();
    let bytes = std::fs::read(stored.path(&audit_key(stored.user_id, 2))).unwrap();
    let mut document: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
    let schema = Schema::new();
    assert_eq!(schema.violations(&document), Vec::<String>::new());
    document["userId"] = "Jane".into();
    document["steps"][1]["attempts"] = 0.into();
    let mut violations = schema.violations(&document);
    violations.sort();
    assert_eq!(violations.len(), 2, "{violations:?}");
    assert!(
        violations[0].starts_with("/steps/1/attempts: ") && violations[1].starts_with("/userId: ")
    );
    assert!(!violations[1].contains("Jane"), "{violations:?}");
}

/// Revision 1, which ended at `DEACTIVATED_ONLY`, with another `scimActive` and other calls of its deactivation.
fn faults_with(scim_active: Option<bool>, calls: &[(&str, &str, u16)]) -> Vec<String> {
    let stored = Stored::new();
    let bytes = std::fs::read(stored.path(&audit_key(stored.user_id, 1))).unwrap();
    let mut manifest: Manifest = serde_json::from_slice(&bytes).unwrap();
    manifest.scim_active = scim_active;
    manifest.steps[1].calls = calls
        .iter()
        .map(|(method, path, status)| Call {
            method: (*method).to_owned(),
            path: format!("{path}/{}", stored.user_id),
            status: *status,
            at: Timestamp::UNIX_EPOCH,
            correlation_id: None,
            note: None,
        })
        .collect();
    let bytes = manifest.to_bytes().unwrap();
    faults_of_manifest(&manifest, &bytes, stored.user_id, 1)
}

#[test]
fn a_removal_of_access_that_no_call_shows_is_a_finding() {
    const SCIM: &str = "/api/v2/scim/v2/Users";
    const IAM: &str = "/api/v2/iam/users";
    let none = Vec::<String>::new();
    assert_eq!(faults_with(Some(false), &[]), none);
    for shown in [
        vec![("GET", SCIM, 404), ("GET", IAM, 404)],
        vec![("GET", "/api/v2/users", 404)],
        vec![("GET", SCIM, 200), ("PUT", SCIM, 200), ("GET", SCIM, 200)],
    ] {
        assert_eq!(faults_with(None, &shown), none, "{shown:?}");
    }
    for not_shown in [
        vec![],
        vec![("GET", SCIM, 404)],
        vec![("GET", SCIM, 404), ("GET", IAM, 200)],
        vec![("GET", SCIM, 200), ("PUT", SCIM, 412), ("GET", SCIM, 200)],
        vec![("GET", SCIM, 200), ("PUT", SCIM, 200), ("GET", SCIM, 404)],
    ] {
        let faults = faults_with(None, &not_shown);
        assert!(
            faults.iter().any(|fault| fault.contains("no call")),
            "{not_shown:?}: {faults:?}"
        );
    }
    assert!(
        faults_with(Some(true), &[])
            .iter()
            .any(|fault| fault.contains("is active"))
    );
}

#[tokio::test]
async fn an_archive_that_ends_before_access_was_gone_is_found_unless_nothing_came_since() {
    let at = |seconds| Timestamp::constant(seconds, 0);
    for (from, to, quiet_until, fault) in [
        (0, 1_600_000_000, None, Some("had access after that")),
        (0, 1_600_000_000, Some(at(1_700_000_000)), None),
        (1_700_000_000, 1_700_000_000, None, Some("covers no time")),
        (0, 1_800_000_000, None, Some("after it was stored")),
    ] {
        let stored = Stored::new();
        let bytes = std::fs::read(stored.path(&audit_key(stored.user_id, 1))).unwrap();
        let mut manifest: Manifest = serde_json::from_slice(&bytes).unwrap();
        let archive = &mut manifest.archive.archive;
        archive.date_from = at(from);
        archive.date_to = at(to);
        archive.quiet_until = quiet_until;
        let bytes = manifest.to_bytes().unwrap();
        let faults = super::faults_of_manifest(&manifest, &bytes, stored.user_id, 1);
        assert_eq!(faults.len(), usize::from(fault.is_some()), "{faults:?}");
        let says = |fault: &str| faults[0].contains(fault);
        assert!(fault.is_none_or(says), "{faults:?}");
    }
}
