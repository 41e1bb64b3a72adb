//! Employees: their account at `UserHub`, and their agent at ACD.

use std::collections::HashMap;

use indexmap::IndexMap;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::simulator::population::Record;
use crate::simulator::timeline::Timeline;
use crate::simulator::world::World;

/// The tenant's only business unit and so on, all invented.
pub(super) const TENANT_ID: &str = "7e4a4700-5eed-4000-8000-000000000001";
pub(super) const BUSINESS_UNIT: u32 = 4_594_001;
/// The service employee, who owns the access key that is accepted. It is not among the users.
pub(super) const SERVICE_ID: &str = "5e71ce00-5eed-4000-8000-000000000001";
/// The numeric ID of the first agent, who is the service employee.
const FIRST_AGENT: u64 = 1_000_000;

#[derive(Default)]
pub(super) struct People {
    pub(super) users: IndexMap<String, User>,
    agents: HashMap<u64, String>,
}

pub(super) struct User {
    pub(super) id: String,
    pub(super) record: Record,
    /// The numeric ID at ACD; nobody else ever has it.
    pub(super) number: u64,
    pub(super) deactivated_at: Option<Timestamp>,
    /// How many reads show the account as active still.
    pub(super) lagging: u32,
    pub(super) skills: Vec<Skill>,
    pub(super) groups: Vec<u64>,
    pub(super) sessions: u32,
    pub(super) keys: Vec<Key>,
    pub(super) contacts: Timeline,
    pub(super) contact_bytes: usize,
    pub(super) contact_seconds: u64,
}

pub(super) struct Skill {
    pub(super) id: u64,
    /// The assignment routes.
    pub(super) is_active: bool,
    /// It was taken away, and that many reads show it still.
    pub(super) lagging: Option<u32>,
}

pub(super) struct Key {
    pub(super) id: String,
    pub(super) is_active: bool,
}

impl User {
    pub(super) fn is_active(&self) -> bool {
        self.deactivated_at.is_none()
    }

    pub(super) fn agent(&self) -> Option<u64> {
        self.record.agent.unwrap_or(true).then_some(self.number)
    }

    pub(super) fn name(&self) -> String {
        format!("agent-{}@sim.example", self.number)
    }

    pub(super) fn team_id(&self) -> String {
        let number = if self.record.lead { self.number } else { 0 };
        format!("7ea40000-5eed-4000-8000-{number:012x}")
    }

    pub(super) fn disable_keys(&mut self) {
        for key in &mut self.keys {
            key.is_active = false;
        }
    }
}

impl People {
    /// The service employee is always there.
    pub(super) fn ensure_service(&mut self, world: &World) {
        if self.users.contains_key(SERVICE_ID) {
            return;
        }
        let record = Record {
            id: SERVICE_ID.to_owned(),
            conversations: Some(0),
            skills: Some(0),
            groups: Some(0),
            sessions: Some(0),
            access_keys: Some(0),
            ..Record::default()
        };
        let mut user = make(world, record, FIRST_AGENT);
        user.keys.push(Key {
            id: world.options.access_key_id.clone(),
            is_active: true,
        });
        self.agents.insert(FIRST_AGENT, user.id.clone());
        self.users.insert(user.id.clone(), user);
    }

    pub(super) fn put(&mut self, world: &World, record: Record) {
        self.ensure_service(world);
        let id = record.id.to_lowercase();
        let next = FIRST_AGENT + self.users.len() as u64;
        let number = self.users.get(&id).map_or(next, |user| user.number);
        self.agents.insert(number, id.clone());
        self.users.insert(id, make(world, record, number));
    }

    /// The user whose agent this is; users without an agent have no number.
    pub(super) fn id_of_agent(&self, number: u64) -> Option<&str> {
        let id = self.agents.get(&number)?;
        self.users.get(id)?.agent()?;
        Some(id)
    }

    pub(super) fn agent_mut(&mut self, number: u64) -> Option<&mut User> {
        let id = self.id_of_agent(number)?.to_owned();
        self.users.get_mut(&id)
    }

    pub(super) fn now(&self, id: &str) -> Option<Value> {
        let user = self.users.get(id)?;
        let texts = |numbers: &[u64]| numbers.iter().map(u64::to_string).collect::<Vec<_>>();
        let skills: Vec<u64> = user
            .skills
            .iter()
            .filter(|skill| skill.lagging.is_none())
            .map(|skill| skill.id)
            .collect();
        let keys = user.keys.iter().filter(|key| key.is_active);
        Some(json!({
            "id": user.id, "exists": true, "active": user.is_active(),
            "queues": texts(&skills), "groups": texts(&user.groups),
            "owns": [], "supervises": [],
            "sessions": user.sessions,
            "accessKeys": keys.map(|key| key.id.as_str()).collect::<Vec<_>>(),
            "conversations": user.contacts.len(),
            "agentId": user.agent(), "leads": user.record.lead,
        }))
    }
}

fn make(world: &World, record: Record, number: u64) -> User {
    let id = record.id.to_lowercase();
    let is_agent = record.agent.unwrap_or(true);
    let count = |wanted: usize| if is_agent { wanted } else { 0 };
    let skills = count(
        record
            .skills
            .or(record.queues)
            .unwrap_or(world.options.queues),
    );
    let groups = count(record.groups.unwrap_or(1));
    let keys = record.access_keys.unwrap_or(1);
    let conversations = record.conversations.unwrap_or(world.options.conversations);
    let key = |index: usize, is_active| Key {
        id: format!("KEY-{number}-{index}"),
        is_active,
    };
    let mut keys: Vec<Key> = (0..keys).map(|index| key(index, true)).collect();

    // An assignment, and a key, that is there and inactive must not be mistaken for one that is not there.
    if keys.len() > 1 {
        keys.push(key(keys.len(), false));
    }
    let skill = |index| Skill {
        id: 4001 + index as u64,
        is_active: index == 0 || index + 1 < skills,
        lagging: None,
    };
    User {
        number,
        deactivated_at: record.inactive.then_some(world.epoch),
        lagging: 0,
        skills: (0..skills).map(skill).collect(),
        groups: (0..groups).map(|index| 7001 + index as u64).collect(),
        sessions: if is_agent {
            record.sessions.unwrap_or(1)
        } else {
            0
        },
        keys,
        contacts: Timeline::new(if is_agent { conversations } else { 0 }, world.epoch),
        contact_seconds: world.options.conversation_length.as_secs(),
        contact_bytes: record
            .conversation_bytes
            .unwrap_or(world.options.conversation_bytes),
        record: Record {
            id: id.clone(),
            ..record
        },
        id,
    }
}
