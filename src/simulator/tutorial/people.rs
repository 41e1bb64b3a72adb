//! Users and queues.

use std::collections::HashMap;

use indexmap::IndexMap;
use serde_json::{Value, json};

use super::user::{Document, User, document, make};
use crate::simulator::population::Record;
use crate::simulator::world::World;

#[derive(Default)]
pub(super) struct People {
    pub(super) users: IndexMap<String, User>,
    pub(super) queues: HashMap<String, Queue>,
}

pub(super) struct Queue {
    pub(super) document: Document,
    pub(super) version: u64,
}

impl People {
    /// Adds or replaces a user, with its own queues: it owns the first and supervises the second.
    pub(super) fn put(&mut self, world: &World, record: Record) {
        let id = record.id.to_lowercase();
        let count = record.queues.unwrap_or(world.options.queues);
        let queue_ids: Vec<String> = (0..count).map(|index| format!("q-{id}-{index}")).collect();

        for (index, queue_id) in queue_ids.iter().enumerate() {
            let owner = if index == 0 && !record.owns_no_queue {
                format!("\"{id}\"")
            } else {
                "\"another-user\"".to_owned()
            };
            let supervisors = if index == 1 && !record.owns_no_queue {
                format!(r#"["sup-1","{id}"]"#)
            } else {
                r#"["sup-1"]"#.to_owned()
            };
            let text = format!(
                r#"{{"id":"{queue_id}","name":"Queue {index}","ownerId":{owner},"supervisorIds":{supervisors},"serviceLevel":0.80,"serial":9007199254740993}}"#
            );
            let document = document(&text).unwrap_or_default();
            self.queues.insert(
                queue_id.clone(),
                Queue {
                    document,
                    version: 1,
                },
            );
        }
        let user = make(
            record,
            &queue_ids,
            world.options.conversations,
            world.options.conversation_bytes,
        );
        self.users.insert(id, user);
    }

    /// The current state of a user.
    pub(super) fn now(&self, id: &str) -> Option<Value> {
        let user = self.users.get(id)?;
        Some(json!({
            "id": user.id, "exists": user.exists(), "active": user.active(),
            "queues": user.queue_ids(), "groups": [],
            "owns": self.named_in(user, "ownerId"),
            "supervises": self.named_in(user, "supervisorIds"),
            "sessions": 0, "accessKeys": [],
            "routingProfile": user.profile, "scim": user.scim, "conversations": user.conversations,
        }))
    }

    /// The queues that still name the user in this member.
    fn named_in(&self, user: &User, member: &str) -> Vec<String> {
        let quoted = format!("\"{}\"", user.id);
        self.queues
            .iter()
            .filter(|(_, queue)| {
                queue
                    .document
                    .get(member)
                    .is_some_and(|raw| raw.get().contains(&quoted))
            })
            .map(|(id, _)| id.clone())
            .collect()
    }
}
