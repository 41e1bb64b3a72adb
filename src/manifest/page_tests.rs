//! `docs/audit.md` explains each member of a manifest.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::Value;

use super::{Actor, ArchiveMember, Manifest, Status};
use crate::job::{Action, Approval, Request};
use crate::machine::samples::empty_archive;
use crate::machine::{
    Archive, Call, Deletion, DeletionOutcome, LegalHold, ManifestRef, Residual, RetentionMark,
    StateName, StepRecord,
};
use crate::profile::TenantProfile;

const PAGE: &str = include_str!("../../docs/audit.md");
const AT: Timestamp = Timestamp::UNIX_EPOCH;

fn text() -> String {
    "x".to_owned()
}

/// With every member that there is.
fn full() -> Manifest {
    Manifest {
        user_id: "3f1f0d4e-9a51-4b4b-8f6c-1f9a4f9b7c11".parse().unwrap(),
        timestamp: AT,
        status: Status::DeactivatedOnly,
        error: Some(text()),
        scim_active: Some(false),
        sessions_ended_at: Some(AT),
        queue_assignments_cleared: true,
        interactions_archived: true,
        schema_version: 1,
        profile: TenantProfile::Genesys,
        revision: 2,
        previous: Some(ManifestRef {
            key: text(),
            sha256: text(),
        }),
        request: request(),
        steps: vec![StepRecord {
            state: StateName::Archived,
            started_at: AT,
            completed_at: AT,
            attempts: 1,
            calls: vec![Call {
                method: text(),
                path: text(),
                status: 200,
                at: AT,
                correlation_id: Some(text()),
                note: Some(text()),
            }],
        }],
        archive: ArchiveMember {
            complete: true,
            archive: Archive {
                version_id: Some(text()),
                retention: Some(RetentionMark {
                    mode: text(),
                    retain_until: AT,
                }),
                etag: Some(text()),
                crc32c: Some(text()),
                quiet_until: Some(AT),
                ..empty_archive(AT)
            },
        },
        not_archived: vec![text()],
        deletion: Deletion {
            status: Some(409),
            code: Some(text()),
            at: Some(AT),
            confirmed_at: Some(AT),
            hold: Some(LegalHold {
                who: text(),
                why: Some(text()),
                at: Some(AT),
            }),
            ..Deletion::without_call(DeletionOutcome::Held)
        },
        residual: vec![Residual {
            kind: text(),
            reference: text(),
            note: Some(text()),
        }],
        actor: Actor::new("w"),
        workers: vec![text()],
    }
}

fn request() -> Request {
    Request {
        action: Action::Delete,
        action_named: true,
        batch_id: "b".parse().ok(),
        delete_after: Some(AT),
        requested_by: Some(text()),
        reason: Some(text()),
        requested_at: Some(AT),
        received_at: Some(AT),
        message_sha256: Some(text()),
        order: "5e".repeat(32).parse().ok(),
        plan: "5e".repeat(32).parse().ok(),
        approvals: vec![Approval {
            person: text(),
            role: text(),
            at: AT,
            break_glass: true,
        }],
    }
}

fn names(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                found.insert(name.clone());
                names(value, found);
            }
        }
        Value::Array(values) => values.iter().for_each(|value| names(value, found)),
        _ => {}
    }
}

#[test]
fn the_page_for_auditors_explains_each_member() {
    let mut members = BTreeSet::new();
    names(&serde_json::to_value(full()).unwrap(), &mut members);
    assert!(members.len() > 60, "{members:?}");
    let (_, rest) = PAGE.split_once("## What a manifest says").unwrap();
    let (section, _) = rest.split_once("\n## ").unwrap();
    let missing: Vec<_> = members
        .iter()
        .filter(|name| !section.contains(&format!("`{name}`")))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}
