//! The state of the simulator.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::time::{Instant, SystemTime};

use indexmap::IndexMap;
use jiff::Timestamp;
use parking_lot::{Mutex, MutexGuard};
use serde::de::DeserializeOwned;

use super::StartError;
use super::faults::{Faults, Rule};
use super::ledger::Ledger;
use super::options::{EtagStyle, Options};
use super::quota::Quota;
use super::user::{Document, Record, User, document, make};

pub(super) fn now() -> Timestamp {
    Timestamp::try_from(system_now()).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// The wall clock. The simulator is an outside system, and has its own.
#[expect(
    clippy::disallowed_methods,
    reason = "the simulator uses nothing of ours, not even our clock"
)]
pub(super) fn system_now() -> SystemTime {
    SystemTime::now()
}

pub(super) struct World {
    pub(super) options: Options,
    pub(super) epoch: Timestamp,
    pub(super) ledger: Ledger,
    pub(super) faults: Faults,
    pub(super) routing: Quota,
    pub(super) scim: Quota,
    pub(super) analytics: Quota,
    people: Mutex<People>,
    tokens: Mutex<HashMap<String, Token>>,
    scopes: Mutex<BTreeSet<String>>,
}

pub(super) struct Token {
    pub(super) expires: Instant,
    pub(super) scopes: BTreeSet<String>,
}

#[derive(Default)]
pub(super) struct People {
    pub(super) users: IndexMap<String, User>,
    pub(super) queues: HashMap<String, Queue>,
}

pub(super) struct Queue {
    pub(super) document: Document,
    pub(super) version: u64,
}

impl World {
    pub(super) fn new(options: &Options) -> Result<Self, StartError> {
        let world = Self {
            epoch: now(),
            ledger: Ledger::default(),
            faults: Faults::default(),
            routing: Quota::new(options.quota_routing),
            scim: Quota::new(options.quota_scim),
            analytics: Quota::new(options.quota_analytics),
            people: Mutex::default(),
            tokens: Mutex::default(),
            scopes: Mutex::new(
                options
                    .scopes
                    .split_whitespace()
                    .map(str::to_owned)
                    .collect(),
            ),
            options: options.clone(),
        };
        for index in 0..options.users {
            // Has the form of a random UUID (RFC 9562 section 5.4), made from the seed.
            let id = format!("{:08x}-5eed-4000-8000-{index:012x}", options.seed);
            world.put_user(Record {
                id,
                conversations: None,
                conversation_bytes: None,
                queues: None,
                deletion: None,
                derived_membership: false,
                lagging_reads: 0,
                active_as_string: index % 5 == 4,
                active_only_while_true: false,
            });
        }
        for record in read_list::<Record>(options.population.as_deref())? {
            world.put_user(record);
        }
        for rule in read_list::<Rule>(options.faults.as_deref())? {
            world.faults.add(rule);
        }

        Ok(world)
    }

    pub(super) fn people(&self) -> MutexGuard<'_, People> {
        self.people.lock()
    }

    pub(super) fn user_ids(&self) -> Vec<String> {
        self.people().users.keys().cloned().collect()
    }

    /// Adds or replaces a user, with its own queues: it owns the first and supervises the second.
    pub(super) fn put_user(&self, record: Record) {
        let id = record.id.to_lowercase();
        let count = record.queues.unwrap_or(self.options.queues);
        let queue_ids: Vec<String> = (0..count).map(|index| format!("q-{id}-{index}")).collect();
        let mut people = self.people();

        for (index, queue_id) in queue_ids.iter().enumerate() {
            let owner = if index == 0 {
                format!("\"{id}\"")
            } else {
                "\"another-user\"".to_owned()
            };
            let supervisors = if index == 1 {
                format!(r#"["sup-1","{id}"]"#)
            } else {
                r#"["sup-1"]"#.to_owned()
            };
            let text = format!(
                r#"{{"id":"{queue_id}","name":"Queue {index}","ownerId":{owner},"supervisorIds":{supervisors},"serviceLevel":0.80,"serial":9007199254740993}}"#
            );
            let document = document(&text).unwrap_or_default();
            people.queues.insert(
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
            self.options.conversations,
            self.options.conversation_bytes,
        );
        people.users.insert(id, user);
    }

    pub(super) fn issue_token(&self) -> (String, BTreeSet<String>) {
        let token = format!("sim-{}", uuid::Uuid::new_v4());
        let scopes = self.scopes.lock().clone();
        let expires = Instant::now() + self.options.token_lifetime;
        let issued = Token {
            expires,
            scopes: scopes.clone(),
        };
        self.tokens.lock().insert(token.clone(), issued);
        (token, scopes)
    }

    /// The scopes of a valid token.
    pub(super) fn scopes_of(&self, token: &str) -> Option<BTreeSet<String>> {
        let tokens = self.tokens.lock();
        tokens
            .get(token)
            .filter(|token| Instant::now() < token.expires)
            .map(|token| token.scopes.clone())
    }

    pub(super) fn revoke(&self, token: &str) {
        self.tokens.lock().remove(token);
    }

    pub(super) fn set_scopes(&self, scopes: Vec<String>) {
        *self.scopes.lock() = scopes.into_iter().collect();
    }

    pub(super) fn etag(&self, version: u64) -> Option<String> {
        let weak = match self.options.etag_style {
            EtagStyle::Strong => "",
            EtagStyle::Weak => "W/",
        };
        (!self.options.no_etags).then(|| format!("{weak}\"v{version}\""))
    }
}

fn read_list<T: DeserializeOwned>(path: Option<&Path>) -> Result<Vec<T>, StartError> {
    let Some(path) = path else {
        return Ok(Vec::new());
    };
    let failed = |why: String| StartError::File(path.display().to_string(), why);
    let text = std::fs::read_to_string(path).map_err(|error| failed(error.to_string()))?;
    serde_json::from_str(&text).map_err(|error| failed(error.to_string()))
}
