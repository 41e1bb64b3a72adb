//! What the log says, as leaves of the tree: canonical JSON (RFC 8785). A leaf has digests and the names of objects, and no
//! record: what a record says of a person can be erased, and the proof that it existed stays.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::failure::Failure;
use crate::job::UserId;
use crate::manifest::{Kind, parse_key};
use crate::ports::ObjectKey;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(super) enum Leaf {
    /// The first leaf of each step.
    Step(Heading),
    /// A record that was written.
    Record(Written),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Heading {
    /// From 1; the number in the name of the step's object.
    pub number: u32,
    /// When the step was made.
    pub at: Timestamp,
    /// All announcements that were visible then and are older than this are in the log, but for those whose object may
    /// still come.
    pub until: Timestamp,
    /// The process that made it.
    pub by: String,
    /// While a key is replaced: the verifier keys of both, the new one first. The step is signed with both.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Written {
    /// Of the announcement.
    pub id: Uuid,
    pub record: Record,
    /// The key of the object, without the prefix.
    pub key: ObjectKey,
    /// What the announcement says, in hex.
    pub sha256: String,
    pub found: Found,
}

/// What was stored under the key when the announcement came into the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Found {
    /// An object with this digest.
    Same,
    /// Another object. Two processes wrote it at once, and this one came second; or it was changed within a minute.
    Other,
    /// Nothing. The process died before it wrote the object; or it was removed within minutes.
    Nothing,
}

/// What is written into the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Record {
    Manifest,
    Reactivation,
    AuditEntry,
    Hold,
    Pause,
    StopOrder,
    Order,
    Plan,
    ApprovalRule,
    LetOn,
    Group,
    DiscardedDeadLetter,
    Erasure,
}

/// The records of the registers, by what their keys begin with.
const REGISTERS: [(&str, Option<Record>); 12] = [
    ("_act_", Some(Record::AuditEntry)),
    ("_hold_", Some(Record::Hold)),
    ("_pause.", Some(Record::Pause)),
    ("_stop_order.", Some(Record::StopOrder)),
    ("_order_", Some(Record::Order)),
    // The plan has the digests of its parts.
    ("_plan_part_", None),
    ("_plan_", Some(Record::Plan)),
    ("_approval_rule.", Some(Record::ApprovalRule)),
    ("_let_on.", Some(Record::LetOn)),
    ("_group_", Some(Record::Group)),
    ("_dead_letter_", Some(Record::DiscardedDeadLetter)),
    ("_erasure_", Some(Record::Erasure)),
];

impl Record {
    /// The kind of record under this key; `None` if the log does not have it.
    pub(super) fn of(key: &ObjectKey) -> Option<Self> {
        let known = |(prefix, record): &(&str, Option<Self>)| {
            key.as_str().starts_with(prefix).then_some(*record)
        };
        REGISTERS
            .iter()
            .find_map(known)
            .unwrap_or_else(|| Self::of_user(key))
    }

    fn of_user(key: &ObjectKey) -> Option<Self> {
        let user_id: UserId = key.as_str().get(..36)?.parse().ok()?;
        match parse_key(user_id, key)?.0 {
            Kind::Audit => Some(Self::Manifest),
            Kind::Reactivated(_) => Some(Self::Reactivation),
            // The manifest repeats what they say, with their digests.
            Kind::Archive | Kind::Sealed | Kind::Before | Kind::Fate => None,
        }
    }
}

impl Leaf {
    /// The bytes that are hashed.
    pub(super) fn to_json(&self) -> Result<Box<RawValue>, Failure> {
        let failed = |error| Failure::internal("cannot write the evidence log", error);
        let text = serde_json_canonicalizer::to_string(self).map_err(failed)?;
        RawValue::from_string(text).map_err(failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> ObjectKey {
        ObjectKey(text.to_owned())
    }

    #[test]
    fn a_leaf_is_canonical_and_has_digests_only() {
        let id = "3f1f0d4e-9a51-4b4b-8f6c-1f9a4f9b7c11";
        let leaf = Leaf::Record(Written {
            id: Uuid::nil(),
            record: Record::Manifest,
            key: key(&format!("{id}_audit.json")),
            sha256: "00".repeat(32),
            found: Found::Same,
        });
        let json = leaf.to_json().unwrap();
        assert_eq!(
            json.get(),
            format!(
                r#"{{"found":"same","id":"{}","key":"{id}_audit.json","kind":"record","record":"manifest","sha256":"{}"}}"#,
                Uuid::nil(),
                "00".repeat(32)
            )
        );
        assert_eq!(serde_json::from_str::<Leaf>(json.get()).unwrap(), leaf);
    }

    #[test]
    fn ends_orders_and_acts_are_in_the_log_and_other_objects_are_not() {
        let id = "3f1f0d4e-9a51-4b4b-8f6c-1f9a4f9b7c11";
        for (name, record) in [
            (format!("{id}_audit.json"), Record::Manifest),
            (format!("{id}_audit.r2.json"), Record::Manifest),
            (format!("{id}_reactivated.json"), Record::Reactivation),
            (format!("_hold_{id}.1.json"), Record::Hold),
            ("_pause.1.json".to_owned(), Record::Pause),
            ("_plan_ab.approval.1.json".to_owned(), Record::Plan),
        ] {
            assert_eq!(Record::of(&key(&name)), Some(record), "{name}");
        }
        for name in [
            format!("{id}.json"),
            format!("{id}_sealed.json"),
            format!("_log_inbox_{id}_audit.json"),
            "_plan_part_ab.json".to_owned(),
            "_requests_2026-11-30_x_10.json".to_owned(),
            "_offboarder_probe".to_owned(),
        ] {
            assert_eq!(Record::of(&key(&name)), None, "{name}");
        }
    }
}
