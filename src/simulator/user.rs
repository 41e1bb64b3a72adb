//! Users and their documents.

use std::time::Instant;

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// How a DELETE of this user is answered.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct DeletionAnswer {
    /// 204, 202, or a refusal.
    #[serde(default = "no_content")]
    pub status: u16,
    /// The error code of a refusal.
    #[serde(default)]
    pub code: Option<String>,
}

const fn no_content() -> u16 {
    204
}

/// A user to invent.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Record {
    pub id: String,
    /// Number of conversations; the flag is the default.
    #[serde(default)]
    pub conversations: Option<u64>,
    /// Approximate size of each in bytes; the flag is the default.
    #[serde(default)]
    pub conversation_bytes: Option<usize>,
    /// Number of queues that the user is in; the flag is the default.
    #[serde(default)]
    pub queues: Option<usize>,
    /// How a DELETE is answered; 204 is the default.
    #[serde(default)]
    pub deletion: Option<DeletionAnswer>,
    /// Membership returns by itself, as if it derived from a group.
    #[serde(default)]
    pub derived_membership: bool,
    /// This many reads after a deactivation still show the user as active.
    #[serde(default)]
    pub lagging_reads: u32,
    /// `active` is written as a string.
    #[serde(default)]
    pub active_as_string: bool,
    /// `active` is shown only while it is true.
    #[serde(default)]
    pub active_only_while_true: bool,
}

/// A JSON object whose members keep their exact text.
pub(super) type Document = IndexMap<String, Box<RawValue>>;

/// The current state of a user.
pub(super) struct User {
    pub(super) id: String,
    pub(super) record: Record,
    pub(super) iam: String,
    pub(super) profile: Document,
    pub(super) profile_version: u64,
    pub(super) scim: Document,
    pub(super) scim_version: u64,
    /// The document that lagging reads show, and how many of them are left.
    pub(super) lagging: Option<(Document, u32)>,
    pub(super) conversations: u64,
    pub(super) conversation_bytes: usize,
    pub(super) gone_at: Option<Instant>,
}

impl User {
    pub(super) fn exists(&self) -> bool {
        self.gone_at.is_none_or(|at| Instant::now() < at)
    }

    pub(super) fn queue_ids(&self) -> Vec<String> {
        #[derive(Deserialize)]
        struct Reference {
            id: String,
        }
        let references: Option<Vec<Reference>> = self
            .profile
            .get("queues")
            .and_then(|raw| serde_json::from_str(raw.get()).ok());
        references
            .unwrap_or_default()
            .into_iter()
            .map(|reference| reference.id)
            .collect()
    }

    pub(super) fn active(&self) -> bool {
        self.scim
            .get("active")
            .is_some_and(|raw| matches!(raw.get(), "true" | "\"true\""))
    }
}

/// Parses a document that this simulator wrote, or that a client sent.
pub(super) fn document(text: &str) -> Option<Document> {
    serde_json::from_str(text).ok()
}

pub(super) fn text(document: &Document) -> String {
    serde_json::to_string(document).unwrap_or_default()
}

/// Invents a user, with members that the `OpenAPI` document does not name and digits that a careless client changes.
pub(super) fn make(
    record: Record,
    queue_ids: &[String],
    conversations: u64,
    conversation_bytes: usize,
) -> User {
    let id = record.id.to_lowercase();
    let name = format!(
        "agent-{}-{}",
        id.get(..8).unwrap_or_default(),
        id.rsplit('-').next().unwrap_or_default()
    );
    let iam = format!(
        r#"{{"id":"{id}","userName":"{name}@sim.example","email":"{name}@sim.example","roles":["agent"],"costCentre":1.10}}"#
    );
    let queues: Vec<String> = queue_ids
        .iter()
        .map(|queue| format!(r#"{{"id":"{queue}","name":"Queue {queue}"}}"#))
        .collect();
    let profile = format!(
        r#"{{"queues":[{}],"maxConcurrent":1.10,"skillSeed":9007199254740993,"weights":[1E5,0.30]}}"#,
        queues.join(",")
    );
    let active = if record.active_as_string {
        r#""true""#
    } else {
        "true"
    };
    let scim = format!(
        r#"{{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User","urn:sim:Ext"],"id":"{id}","userName":"{name}@sim.example","active":{active},"urn:sim:Ext":{{"quota":1.50,"serial":9007199254740993}},"meta":{{"resourceType":"User"}}}}"#
    );

    User {
        iam,
        profile: document(&profile).unwrap_or_default(),
        profile_version: 1,
        scim: document(&scim).unwrap_or_default(),
        scim_version: 1,
        lagging: None,
        conversations: record.conversations.unwrap_or(conversations),
        conversation_bytes: record.conversation_bytes.unwrap_or(conversation_bytes),
        gone_at: None,
        record: Record {
            id: id.clone(),
            ..record
        },
        id,
    }
}
