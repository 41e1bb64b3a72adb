//! The state of the simulator.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::time::{Instant, SystemTime};

use jiff::Timestamp;
use parking_lot::Mutex;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::StartError;
use super::api::Api;
use super::faults::{Faults, Rule};
use super::ledger::Ledger;
use super::options::{EtagStyle, Options};
use super::population::Record;
use super::quota::Quota;
use super::unknowns::Unknowns;

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
    pub(super) unknowns: Unknowns,
    pub(super) api: Box<dyn Api>,
    tokens: Mutex<HashMap<String, Token>>,
    scopes: Mutex<BTreeSet<String>>,
}

pub(super) struct Token {
    pub(super) expires: Instant,
    pub(super) scopes: BTreeSet<String>,
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
            unknowns: Unknowns::new(options.profile.switches()),
            api: options.profile.api(),
            tokens: Mutex::default(),
            scopes: Mutex::new(
                options
                    .scopes
                    .as_deref()
                    .unwrap_or(options.profile.all_rights())
                    .split_whitespace()
                    .map(str::to_owned)
                    .collect(),
            ),
            options: options.clone(),
        };
        for word in &options.unknowns {
            world.unknowns.set_word(word).map_err(StartError::Unknown)?;
        }
        for index in 0..options.users {
            // Has the form of a random UUID (RFC 9562 section 5.4), made from the seed.
            let id = format!("{:08x}-5eed-4000-8000-{index:012x}", options.seed);
            world.put_user(Record {
                id,
                active_as_string: index % 5 == 4,
                group_queues: if index % 5 == 3 { 2 } else { 0 },
                ..Record::default()
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

    pub(super) fn user_ids(&self) -> Vec<String> {
        self.api.user_ids()
    }

    /// Adds or replaces a user.
    pub(super) fn put_user(&self, record: Record) {
        self.api.put_user(self, record);
    }

    /// Takes a token from now on, with the scopes of now.
    pub(super) fn issue_token(&self, token: &str) -> BTreeSet<String> {
        let scopes = self.scopes.lock().clone();
        let expires = Instant::now() + self.options.token_lifetime;
        let issued = Token {
            expires,
            scopes: scopes.clone(),
        };
        self.tokens.lock().insert(token.to_owned(), issued);
        scopes
    }

    /// `expires_in` of a token.
    pub(super) fn expires_in(&self) -> Value {
        let seconds = self.options.token_lifetime.as_secs();
        if self.options.expires_in_string {
            json!(seconds.to_string())
        } else {
            json!(seconds)
        }
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
