//! Checks manifests and seals for contradictions. Pure.

use jiff::SignedDuration;

use crate::integrity::without_code;
use crate::job::UserId;
use crate::machine::{Archive, Call, DeletionOutcome, StateName};
use crate::manifest::{Kind, Manifest, SealDocument, Status, parse_key};
use crate::ports::ObjectKey;

/// A worker completes the step right after it has seen that the access is removed.
const AT_ONCE: SignedDuration = SignedDuration::from_mins(1);

/// The revision of the archive and the seal that belong to a manifest, from the key of the archive.
pub(super) fn set_of(user_id: UserId, full_key: &str) -> Option<u32> {
    let name = full_key.rsplit('/').next().unwrap_or(full_key);
    match parse_key(user_id, &ObjectKey(name.to_owned()))? {
        (Kind::Archive, set) => Some(set),
        (Kind::Sealed | Kind::Audit | Kind::Before | Kind::Fate | Kind::Reactivated(_), _) => None,
    }
}

/// Whether the DELETE was sent, so that a seal must exist.
pub(super) fn needs_seal(manifest: &Manifest) -> bool {
    match manifest.deletion.outcome {
        DeletionOutcome::Deleted | DeletionOutcome::AlreadyGone | DeletionOutcome::Refused => true,
        DeletionOutcome::NotOffered => manifest.deletion.status.is_some(),
        DeletionOutcome::Held | DeletionOutcome::NotRequested => false,
    }
}

/// Collects the demands that a document does not meet.
#[derive(Default)]
struct Faults(Vec<String>);

impl Faults {
    fn demand(&mut self, holds: bool, text: impl Into<String>) {
        if !holds {
            self.0.push(text.into());
        }
    }
}

/// Contradictions of a manifest with itself, its key, or the form that offboarder writes.
pub(crate) fn faults_of_manifest(
    manifest: &Manifest,
    bytes: &[u8],
    user_id: UserId,
    revision: u32,
) -> Vec<String> {
    let mut faults = Faults::default();
    faults.demand(
        manifest.user_id == user_id,
        format!("it is the manifest of {}", manifest.user_id),
    );
    faults.demand(
        manifest.revision == revision,
        format!("it says that it is revision {}", manifest.revision),
    );
    let written = manifest.to_bytes().is_ok_and(|written| written == bytes);
    faults.demand(
        written,
        "its bytes are not those that offboarder writes for what it says",
    );
    let end = StateName::from(manifest.status);
    let states: Vec<StateName> = manifest.steps.iter().map(|step| step.state).collect();
    let wanted = [
        StateName::QueuesCleared,
        StateName::Deactivated,
        StateName::Archived,
        end,
    ];
    faults.demand(
        states == wanted,
        format!("its steps are not those that lead to {end}"),
    );
    let ended = manifest
        .steps
        .last()
        .is_none_or(|step| step.completed_at == manifest.timestamp);
    faults.demand(ended, "its timestamp is not that of its last step");
    demand_outcome(manifest, &mut faults);
    demand_archive(manifest, &mut faults);

    faults.0
}

/// Checks the outcome of the off-boarding.
fn demand_outcome(manifest: &Manifest, faults: &mut Faults) {
    let gone = matches!(
        manifest.deletion.outcome,
        DeletionOutcome::Deleted | DeletionOutcome::AlreadyGone
    );
    let deleted = manifest.status == Status::Deleted;

    faults.demand(
        gone == deleted,
        "its status contradicts the outcome of the deletion",
    );
    faults.demand(
        manifest.error.is_none() == deleted,
        "its error contradicts its status",
    );
    faults.demand(
        manifest.scim_active != Some(true),
        "it says that the account is active",
    );
    faults.demand(
        deleted || manifest.scim_active.is_some() || proves_removal(manifest),
        "it says that the access is removed, but no call of its step Deactivated shows that",
    );
}

/// Checks what the manifest says about its archive.
fn demand_archive(manifest: &Manifest, faults: &mut Faults) {
    let archive = &manifest.archive.archive;
    let at = |state| {
        manifest
            .steps
            .iter()
            .find(|step| step.state == state)
            .map(|step| step.completed_at)
    };
    let removed = at(StateName::Deactivated);
    let archived = at(StateName::Archived);
    let covers = archive.covers_until();

    faults.demand(
        archive.date_from < archive.date_to,
        "its archive covers no time",
    );
    faults.demand(
        removed.is_none_or(|removed| removed.duration_since(covers) <= AT_ONCE),
        format!("its archive ends at {covers}, and the user had access after that"),
    );
    faults.demand(
        archived.is_none_or(|archived| covers.duration_since(archived) <= AT_ONCE),
        format!("its archive ends at {covers}, after it was stored"),
    );
    faults.demand(
        manifest.archive.complete && manifest.interactions_archived,
        "it says that the archive is not complete, but only complete archives are recorded",
    );
}

/// Whether the calls of a manifest without `scimActive` show that the access is removed: the API of users (IAM, or that of
/// the vendor) does not know the user either, or SCIM accepted the change and was read after it.
fn proves_removal(manifest: &Manifest) -> bool {
    let steps = manifest
        .steps
        .iter()
        .filter(|step| step.state == StateName::Deactivated);
    let calls: Vec<&Call> = steps.flat_map(|step| &step.calls).collect();
    let user = format!("/users/{}", manifest.user_id);
    let gone = calls.iter().any(|call| {
        call.method == "GET" && call.path.ends_with(&user) && matches!(call.status, 404 | 410)
    });
    let accepted = calls
        .iter()
        .position(|call| call.method == "PUT" && (200..300).contains(&call.status));
    let read_since = accepted.and_then(|at| calls.get(at + 1..));

    gone || read_since.is_some_and(|calls| {
        calls
            .iter()
            .any(|call| call.method == "GET" && call.status == 200)
    })
}

/// The members in which two descriptions of one archive differ.
pub(super) fn differences(one: &Archive, other: &Archive) -> Option<String> {
    let members = [
        ("location", one.location == other.location),
        ("key", one.key == other.key),
        ("versionId", one.version_id == other.version_id),
        ("bytes", one.bytes == other.bytes),
        ("conversations", one.conversations == other.conversations),
        ("pages", one.pages == other.pages),
        ("sha256", one.sha256 == other.sha256),
        ("dateFrom", one.date_from == other.date_from),
        ("dateTo", one.date_to == other.date_to),
        ("retention", one.retention == other.retention),
        ("etag", one.etag == other.etag),
        ("crc32c", one.crc32c == other.crc32c),
        ("quietUntil", one.quiet_until == other.quiet_until),
    ];
    let differing: Vec<&str> = members
        .into_iter()
        .filter(|(_, same)| !same)
        .map(|(name, _)| name)
        .collect();
    (!differing.is_empty()).then(|| differing.join(", "))
}

/// Contradictions of a seal with itself, its key, its form, or the manifests of the same archive.
pub(crate) fn faults_of_seal(
    seal: &SealDocument,
    bytes: &[u8],
    user_id: UserId,
    set: u32,
    manifests: &[&Manifest],
) -> Vec<String> {
    let mut faults = Faults::default();
    faults.demand(
        seal.user_id == user_id,
        format!("it is the seal of {}", seal.user_id),
    );
    faults.demand(
        seal.revision == set,
        format!("it says that it is revision {}", seal.revision),
    );
    faults.demand(
        seal.schema_version == 1,
        format!("its schemaVersion is {}", seal.schema_version),
    );
    let written =
        serde_json::to_vec_pretty(seal).is_ok_and(|written| written == *without_code(bytes));
    faults.demand(
        written,
        "its bytes are not those that offboarder writes for what it says",
    );
    let deactivated = seal
        .steps
        .iter()
        .find(|step| step.state == StateName::Deactivated);
    let at_once = deactivated
        .is_some_and(|step| step.completed_at.duration_since(seal.access.at).abs() <= AT_ONCE);
    faults.demand(
        at_once,
        "it names another time of the access removal than its step Deactivated",
    );
    for manifest in manifests {
        demand_agreement(seal, manifest, &mut faults);
    }
    // There is one seal, for the revision that tried the deletion first.
    let tried = manifests.iter().any(|manifest| needs_seal(manifest));
    let asked = manifests
        .iter()
        .any(|manifest| manifest.request == seal.request);
    faults.demand(asked || !tried, "its request is not that of a manifest");

    faults.0
}

/// Checks a seal against a manifest of the same archive.
fn demand_agreement(seal: &SealDocument, manifest: &Manifest, faults: &mut Faults) {
    if let Some(members) = differences(&seal.archive, &manifest.archive.archive) {
        faults.demand(
            false,
            format!("it seals another archive than the manifest names (by {members})"),
        );
    }
    let access = seal.access.scim_active == manifest.scim_active
        && seal.access.queues.confirmed == manifest.queue_assignments_cleared
        && seal.access.queues.residual == manifest.residual;

    faults.demand(
        access,
        "it describes the state of the account differently than the manifest",
    );
    faults.demand(
        manifest.steps.starts_with(&seal.steps),
        "its steps are not those of the manifest",
    );
}
