//! Users and their documents.

use std::time::Instant;

use indexmap::IndexMap;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::simulator::population::Record;

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
